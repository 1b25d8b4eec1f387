// Codes by epoch. Between two epochs points go in straight lines.
const SPEED = 2.5 // epochs shown a second, of those that were kept
const DOT = 2.4

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".lapse")
  const [range, play, told, canvas] = ["input", ".play", "output", "canvas"].map((name) => root.querySelector(name))
  const style = getComputedStyle(root)
  const playing = Boolean(root.timer)
  root.end?.() // only the last call's end is called, and only when the component goes
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer
  const frames = data.frames.map((text) => new Float32Array(bytes(text)))
  const labels = data.labels ? new Uint8Array(bytes(data.labels)) : null
  const last = frames.length - 1
  const count = frames[0].length / 2
  const sizes = frames.map(extent)
  const middles = frames.map((places) => data.names.map((_, label) => middle(places, label)))
  range.max = last
  root.at = Math.min(root.at ?? last, last)

  // Each epoch's points fill the picture: codes grow as they are learnt.
  function extent(places) {
    let [x, y, reach] = [0, 0, 0]
    for (let i = 0; i < count; i++) [x, y] = [x + places[2 * i] / count, y + places[2 * i + 1] / count]
    const far = Float32Array.from({ length: count }, (_, i) => Math.max(Math.abs(places[2 * i] - x), Math.abs(places[2 * i + 1] - y))).sort()
    reach = far[Math.floor(0.995 * (count - 1))] || 1
    return { x, y, reach }
  }

  function middle(places, label) {
    const own = [...labels.keys()].filter((i) => labels[i] === label)
    const median = (part) => own.map((i) => places[2 * i + part]).sort((a, b) => a - b)[own.length >> 1]
    return own.length ? [median(0), median(1)] : null
  }

  function show(at) {
    root.at = at
    range.value = at
    const from = Math.min(last, Math.floor(at))
    const to = Math.min(last, from + 1)
    const share = at - from
    told.textContent = `epoch ${data.epochs[share < 0.5 ? from : to]}`
    range.setAttribute("aria-valuetext", told.textContent)
    canvas.setAttribute("aria-label", `codes of ${count} pictures at ${told.textContent}`)
    const scale = devicePixelRatio
    const width = (canvas.width = Math.round(canvas.clientWidth * scale))
    const height = (canvas.height = Math.round(canvas.clientHeight * scale))
    const pen = canvas.getContext("2d")
    const mix = (a, b) => a + (b - a) * share
    const [x0, y0, reach] = ["x", "y", "reach"].map((name) => mix(sizes[from][name], sizes[to][name]))
    const zoom = Math.min(width, height) / (2.15 * reach)
    const plain = style.getPropertyValue("--st-primary-color")
    pen.globalAlpha = 0.75
    for (let i = 0; i < count; i++) {
      pen.fillStyle = labels ? data.colours[labels[i] % data.colours.length] : plain
      const x = (mix(frames[from][2 * i], frames[to][2 * i]) - x0) * zoom + width / 2
      const y = height / 2 - (mix(frames[from][2 * i + 1], frames[to][2 * i + 1]) - y0) * zoom
      pen.fillRect(x - (DOT * scale) / 2, y - (DOT * scale) / 2, DOT * scale, DOT * scale)
    }
    pen.globalAlpha = 1
    if (!labels) return
    pen.font = `600 ${13 * scale}px ${style.getPropertyValue("--st-font")}`
    pen.textAlign = "center"
    pen.textBaseline = "middle"
    pen.lineWidth = 4 * scale
    pen.strokeStyle = style.getPropertyValue("--st-secondary-background-color")
    pen.fillStyle = style.getPropertyValue("--st-text-color")
    data.names.forEach((name, label) => {
      if (!middles[from][label]) return
      const [x, y] = [0, 1].map((part) => mix(middles[from][label][part], middles[to][label][part]))
      const place = [(x - x0) * zoom + width / 2, height / 2 - (y - y0) * zoom]
      pen.strokeText(name, ...place)
      pen.fillText(name, ...place)
    })
  }

  const stop = () => {
    cancelAnimationFrame(root.timer)
    root.timer = undefined
    play.textContent = "▶"
    play.setAttribute("aria-label", "Play")
  }
  play.onclick = () => {
    if (root.timer) return stop()
    play.textContent = "❚❚"
    play.setAttribute("aria-label", "Pause")
    let before
    if (root.at >= last) root.at = 0
    const step = (now) => {
      show(Math.min(last, root.at + (before ? ((now - before) / 1000) * SPEED : 0)))
      before = now
      if (root.at >= last) return stop()
      root.timer = requestAnimationFrame(step)
    }
    root.timer = requestAnimationFrame(step)
  }
  range.oninput = () => {
    stop()
    show(Number(range.value))
  }
  // By whole epochs: the steps of the slider are fine enough to show what lies between them.
  const WAYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }
  range.onkeydown = (event) => {
    if (!WAYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    stop()
    show(Math.min(last, Math.max(0, Math.round(root.at) + WAYS[event.key])))
  }
  const observer = new ResizeObserver(() => show(root.at))
  observer.observe(canvas)
  show(root.at)
  if (playing) play.onclick()
  root.end = () => {
    stop()
    observer.disconnect()
  }
  return root.end
}
