// Pictures by epoch. Follows the newest frame until the visitor goes back to an earlier one.
const PAUSE = 250 // milliseconds between two frames
const REST = 1500 // on the last one, before it begins again

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".timelapse")
  const [range, play, label] = ["input", ".play", "output"].map((name) => root.querySelector(name))
  const picture = (name) => root.querySelector(`.${name} img`)
  const frames = data.frames
  const last = frames.length - 1

  if (root.at === undefined || (root.at >= root.last && !root.timer)) root.at = last
  root.last = last
  range.max = last
  range.disabled = play.disabled = last < 1

  root.querySelector(".put-in").hidden = !data.originals
  if (data.originals) picture("put-in").src = data.originals
  root.querySelector(".new figcaption").textContent = data.sampling

  const show = (at) => {
    root.at = at
    range.value = at
    label.textContent = `epoch ${frames[at].epoch}`
    range.setAttribute("aria-valuetext", label.textContent)
    picture("back").src = frames[at].rebuilt
    picture("new").src = frames[at].samples
  }
  const stop = () => {
    clearTimeout(root.timer)
    root.timer = undefined
    play.textContent = "▶"
    play.setAttribute("aria-label", "Play")
  }
  const step = () => {
    show(root.at >= last ? 0 : root.at + 1)
    root.timer = setTimeout(step, root.at >= last ? REST : PAUSE)
  }

  range.oninput = () => {
    stop()
    show(Number(range.value))
  }
  play.onclick = () => {
    if (root.timer) return stop()
    play.textContent = "❚❚"
    play.setAttribute("aria-label", "Pause")
    step()
  }
  const playing = Boolean(root.timer)
  stop()
  show(Math.min(root.at, last))
  if (playing) play.onclick()
  return stop
}
