// Planes of codes under one pointer. Every place of the grid was decoded beforehand: moving asks nobody.
const NEAR = 0.03 // of the window
const STEP = 0.02
const DOT = 1.6

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".maps")
  const style = getComputedStyle(root)
  root.end?.() // only the last call's end is called, and only when the component goes
  if (String(root.start) !== String(data.start)) root.at = root.start = data.start
  const panels = data.panels.map(make)
  root.replaceChildren(...panels.map((panel) => panel.element))

  function make(panel) {
    const element = document.createElement("div")
    element.className = "panel"
    element.innerHTML = `<h4></h4><canvas class="plane" tabindex="0" role="application"></canvas>
      <div class="seen"><canvas class="decoded" role="img"></canvas><div><p class="where"></p><p class="near" aria-live="polite"></p></div></div>`
    element.querySelector("h4").textContent = panel.title
    const [plane, decoded] = element.querySelectorAll("canvas")
    plane.setAttribute("aria-label", `Codes of ${panel.title}. Arrow keys move the pointer, Enter sets it down.`)
    decoded.setAttribute("aria-label", `what ${panel.title} decodes at the pointer`)

    const bytes = Uint8Array.from(atob(panel.points), (letter) => letter.charCodeAt(0)).buffer
    const places = new Float32Array(bytes, 0, 2 * panel.count)
    const labels = new Uint8Array(bytes, 8 * panel.count, panel.count)
    const [[left, right], [bottom, top]] = panel.window
    const across = new Float32Array(panel.count).map((_, i) => (places[2 * i] - left) / (right - left))
    const up = new Float32Array(panel.count).map((_, i) => (places[2 * i + 1] - bottom) / (top - bottom))

    const tiles = new Image()
    tiles.onload = () => show()
    tiles.src = panel.tiles
    return { ...panel, element, plane, decoded, tiles, labels, across, up, ground: null }
  }

  const colour = (label) => data.colours[label % data.colours.length]

  // What does not move with the pointer, drawn once for each size.
  function paintGround(panel) {
    const side = Math.round(panel.plane.clientWidth * devicePixelRatio)
    if (!side) return
    const ground = (panel.ground = document.createElement("canvas"))
    panel.plane.width = panel.plane.height = ground.width = ground.height = side
    const pen = ground.getContext("2d")
    const dot = (panel.whole ? DOT : 2 * DOT) * devicePixelRatio
    pen.globalAlpha = 0.55
    for (let i = 0; i < panel.count; i++) {
      pen.fillStyle = panel.names.length ? colour(panel.labels[i]) : style.getPropertyValue("--st-primary-color")
      pen.fillRect(panel.across[i] * side - dot / 2, (1 - panel.up[i]) * side - dot / 2, dot, dot)
    }
    pen.globalAlpha = 1
    pen.font = `600 ${12 * devicePixelRatio}px ${style.getPropertyValue("--st-font")}`
    pen.textAlign = "center"
    pen.textBaseline = "middle"
    const named = panel.whole ? panel.names : []
    named.forEach((name, label) => {
      const own = [...panel.labels.keys()].filter((i) => panel.labels[i] === label)
      if (!own.length) return
      write(pen, name, median(own.map((i) => panel.across[i])) * side, (1 - median(own.map((i) => panel.up[i]))) * side)
    })
    const [[left, right], [bottom, top]] = panel.window
    const x = (value) => ((value - left) / (right - left)) * side
    const y = (value) => (1 - (value - bottom) / (top - bottom)) * side
    pen.lineWidth = 1.5 * devicePixelRatio
    pen.strokeStyle = style.getPropertyValue("--st-text-color")
    if (panel.ellipse) {
      const { x: cx, y: cy, rx, ry } = panel.ellipse
      for (const sigmas of [1, 2]) {
        pen.globalAlpha = 1 / sigmas
        pen.beginPath()
        pen.ellipse(x(cx), y(cy), (sigmas * rx * side) / (right - left), (sigmas * ry * side) / (top - bottom), 0, 0, 7)
        pen.stroke()
      }
      pen.globalAlpha = 1
    }
    if (panel.path.length) {
      pen.beginPath()
      panel.path.forEach(([px, py], i) => (i ? pen.lineTo(x(px), y(py)) : pen.moveTo(x(px), y(py))))
      pen.stroke()
    }
    pen.fillStyle = pen.strokeStyle
    for (const [px, py] of [...panel.marks, ...panel.path]) {
      pen.beginPath()
      pen.arc(x(px), y(py), 2.6 * devicePixelRatio, 0, 7)
      pen.fill()
    }
  }

  function write(pen, text, x, y) {
    pen.lineWidth = 4 * devicePixelRatio
    pen.strokeStyle = style.getPropertyValue("--st-secondary-background-color")
    pen.fillStyle = style.getPropertyValue("--st-text-color")
    pen.strokeText(text, x, y)
    pen.fillText(text, x, y)
  }

  function show(at = root.at) {
    for (const panel of panels) {
      if (!panel.ground) paintGround(panel)
      if (!panel.ground) continue
      const [u, v] = at
      const side = panel.plane.width
      const pen = panel.plane.getContext("2d")
      pen.clearRect(0, 0, side, side)
      pen.drawImage(panel.ground, 0, 0)
      pen.strokeStyle = style.getPropertyValue("--st-text-color")
      pen.lineWidth = devicePixelRatio
      pen.beginPath()
      pen.moveTo(u * side, 0)
      pen.lineTo(u * side, side)
      pen.moveTo(0, (1 - v) * side)
      pen.lineTo(side, (1 - v) * side)
      pen.stroke()
      tell(panel, u, v)
    }
  }

  function tell(panel, u, v) {
    const cell = (share) => Math.min(panel.side - 1, Math.floor(share * panel.side))
    if (panel.tiles.complete && panel.tiles.naturalWidth) {
      const width = panel.tiles.naturalWidth / panel.side
      const height = panel.tiles.naturalHeight / panel.side
      panel.decoded.width = width
      panel.decoded.height = height
      panel.decoded
        .getContext("2d")
        .drawImage(panel.tiles, cell(u) * width, cell(1 - v) * height, width, height, 0, 0, width, height)
    }
    const [[left, right], [bottom, top]] = panel.window
    const number = (value) => value.toFixed(2).replace("-", "−")
    panel.element.querySelector(".where").textContent =
      `${number(left + u * (right - left))}, ${number(bottom + v * (top - bottom))}`
    let near = 0
    for (let i = 0; i < panel.count; i++) near += Math.hypot(panel.across[i] - u, panel.up[i] - v) < NEAR
    const line = panel.element.querySelector(".near")
    const told = panel.whole && panel.count
    line.className = near || !told ? "near" : "near hole"
    line.textContent = !told ? "" : near ? `${near} codes of test pictures near here` : "No code near here: a hole"
  }

  const within = (value) => Math.min(1, Math.max(0, value))
  const from = (event) => {
    const box = event.currentTarget.getBoundingClientRect()
    return [within((event.clientX - box.left) / box.width), within(1 - (event.clientY - box.top) / box.height)]
  }
  const set = (at) => {
    root.at = at.map((value) => Math.round(value * 1000) / 1000)
    show()
    intoTheAddress("at", root.at.join())
    setStateValue("at", root.at)
  }
  const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }
  for (const { plane } of panels) {
    plane.onpointermove = (event) => show(from(event))
    let pressed = null // what was begun elsewhere, as a selection of text, ends here without a place
    plane.onpointerdown = (event) => (pressed = event.pointerId)
    plane.onpointerup = (event) => {
      if (event.pointerId === pressed && !event.button && !event.ctrlKey) set(from(event))
      pressed = null
    }
    plane.onpointerleave = () => show()
    plane.onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      if (event.key === "Enter") return set(root.at)
      if (!KEYS[event.key]) return
      event.preventDefault()
      root.at = root.at.map((value, i) => within(value + KEYS[event.key][i]))
      show()
    }
  }
  const observer = new ResizeObserver(() => {
    for (const panel of panels) panel.ground = null
    show()
  })
  observer.observe(root)
  root.end = () => observer.disconnect()
  return root.end
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1]
}
