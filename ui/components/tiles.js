// A square of pictures. A click, or Enter at the marked one, chooses.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".tiles")
  const cell = root.querySelector(".cell")
  const image = root.querySelector("img")
  image.src = data.sheet
  image.alt = data.alt
  root.setAttribute("aria-label", `${data.alt}. Arrow keys move, Enter looks closer.`)
  const told = root.querySelector(".told") ?? root.appendChild(document.createElement("p"))
  told.className = "told"
  told.setAttribute("aria-live", "polite")
  const last = data.side - 1
  root.at ??= [0, 0]

  const mark = (row, column) => {
    root.at = [row, column]
    cell.style.width = cell.style.height = `${100 / data.side}%`
    cell.style.top = `${(100 * row) / data.side}%`
    cell.style.left = `${(100 * column) / data.side}%`
    cell.hidden = false
  }
  const from = (event) => {
    const box = root.getBoundingClientRect()
    const place = (share) => Math.min(last, Math.max(0, Math.floor(share * data.side)))
    return [place((event.clientY - box.top) / box.height), place((event.clientX - box.left) / box.width)]
  }
  const choose = () => setTriggerValue("cell", root.at)
  const name = () => `row ${root.at[0] + 1}, column ${root.at[1] + 1}`
  // Whoever goes by keys has to see where Enter would look.
  const rest = () => (root.matches(":focus-visible") ? mark(...root.at) : (cell.hidden = true))

  rest()
  root.onfocus = () => {
    rest()
    if (!cell.hidden) told.textContent = name()
  }
  root.onblur = () => (cell.hidden = true)
  root.onpointermove = (event) => mark(...from(event))
  root.onpointerleave = rest
  root.onclick = (event) => {
    mark(...from(event))
    choose()
  }
  const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }
  root.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Enter") {
      told.textContent = `Looking closer at ${name()}`
      return choose()
    }
    if (!KEYS[event.key]) return
    event.preventDefault()
    mark(...root.at.map((value, i) => Math.min(last, Math.max(0, value + KEYS[event.key][i]))))
    told.textContent = name()
  }
}
