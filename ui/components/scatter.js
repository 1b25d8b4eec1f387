// Maps of codes. Points are written into pixels directly, which takes 70,000 of them at 60 frames a second without a GPU.
const CELLS = 256 // of the index, on either side
const REACH = 14 // pixels around the pointer in which a point is found
const WAIT = 125 // milliseconds until its picture comes
const PICTURES_BELOW = 160 // visible points that are drawn as pictures
const PICTURE = 34 // pixels
const NEAR = 4 // pixels between corners of a lasso
const STILL = 4 // pixels that a click may move
const RAMP = ["#3b1c6e", "#7b2a7d", "#c0415f", "#f2803a", "#f8d25c"]

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".scatter")
  const style = getComputedStyle(root)
  const theme = (name) => style.getPropertyValue(name)
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer
  const count = data.count
  const labels = data.labels ? new Uint8Array(bytes(data.labels)) : null
  const values = data.values ? new Float32Array(bytes(data.values)) : null
  const memory = (root.memory ??= { only: null, views: {}, lasso: false, drawn: null, picked: data.start })
  const sheets = []
  const only = () => (values ? null : memory.only) // the legend of values has no class to take it back
  root.end?.() // only the last call's end is called, and only when the component goes

  // --- colours ---

  const hex = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16))
  const pixel = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r
  const classColour = (label) => data.colours[label % data.colours.length]
  const ramp = RAMP.map(hex)
  const along = (share) => {
    const place = Math.min(0.9999, Math.max(0, share)) * (ramp.length - 1)
    const from = ramp[Math.floor(place)]
    return from.map((part, i) => Math.round(part + (ramp[Math.floor(place) + 1][i] - part) * (place % 1)))
  }
  const [least, most] = values ? extremes(values) : [0, 1]
  const paint = new Uint32Array(count)
  const byLabel = labels ? data.names.map((_, label) => pixel(hex(classColour(label)))) : []
  const plain = pixel(hex(theme("--st-primary-color").trim() || "#21616d"))
  for (let i = 0; i < count; i++) {
    if (values) paint[i] = pixel(along((values[i] - least) / (most - least || 1)))
    else paint[i] = labels ? byLabel[labels[i]] : plain
  }
  const hidden = (i) => only() !== null && labels && labels[i] !== only()

  // --- the frame ---

  root.innerHTML = `<div class="bar"><button class="tool" type="button" aria-pressed="false">Lasso</button>
    <button class="home" type="button">Whole map</button>
    <button class="free" type="button">Let go of the lasso</button><span class="gap"></span><span class="legend bar"></span></div>
    <div class="panels"></div><p class="told" aria-live="polite"></p>`
  const tool = root.querySelector(".tool")
  const told = root.querySelector(".told")
  legend()
  const panels = data.panels.map(make)
  root.querySelector(".panels").replaceChildren(...panels.map((panel) => panel.element))
  tool.onclick = () => {
    memory.lasso = !memory.lasso
    showTool()
  }
  root.querySelector(".home").onclick = () => {
    for (const panel of panels) panel.view = whole(panel)
    ask()
  }
  root.querySelector(".free").onclick = letOut
  tool.onkeydown = (event) => {
    if (event.key === "Escape") hide() || dropLasso() || letOut()
  }
  showTool()

  function showTool() {
    tool.setAttribute("aria-pressed", memory.lasso)
    root.querySelector(".free").hidden = !memory.drawn
    for (const panel of panels) panel.top.classList.toggle("lasso", memory.lasso)
  }

  function legend() {
    const place = root.querySelector(".legend")
    if (values) {
      const scale = document.createElement("span")
      scale.className = "scale"
      scale.style.background = `linear-gradient(90deg, ${RAMP.join(", ")})`
      place.append(`${data.valueName}: ${short(least)}`, scale, short(most))
      return
    }
    if (!labels) return
    data.names.forEach((name, label) => {
      const button = document.createElement("button")
      button.type = "button"
      const dot = document.createElement("i")
      dot.style.background = classColour(label)
      button.append(dot, name)
      button.setAttribute("aria-pressed", memory.only === label)
      button.onclick = () => {
        memory.only = memory.only === label ? null : label
        for (const other of place.children) other.setAttribute("aria-pressed", other === button && memory.only !== null)
        ask()
      }
      place.append(button)
    })
  }

  function make(panel, number) {
    const element = document.createElement("div")
    element.className = "panel"
    element.innerHTML = `<h4></h4><div class="stage"><canvas class="dots"></canvas><canvas class="top" tabindex="0" role="application"></canvas>
      <div class="card"><canvas></canvas><span></span></div></div>`
    element.querySelector("h4").textContent = panel.title
    const top = element.querySelector(".top")
    top.setAttribute(
      "aria-label",
      `${panel.title}: ${count} pictures. Arrow keys go to the next picture, Enter chooses it, Escape lets go, ` +
        "plus and minus zoom, 0 shows all."
    )
    const one = {
      ...panel,
      number,
      element,
      top,
      stage: element.querySelector(".stage"),
      dots: element.querySelector(".dots"),
      card: element.querySelector(".card"),
      xy: new Float32Array(bytes(panel.places)),
      tileSheet: null,
    }
    one.index = indexed(one.xy, count)
    one.names = data.names.map((_, label) => middle(one.xy, labels, label))
    if (panel.tiles) {
      one.tileSheet = new Image()
      one.tileSheet.src = panel.tiles
    }
    one.view = memory.views[number] ?? null
    listen(one)
    return one
  }

  // --- drawing ---

  function whole(panel, { clientWidth: width, clientHeight: height } = panel.stage) {
    const [[left, right], [bottom, top]] = panel.window
    const scale = Math.min(width / (right - left), height / (top - bottom))
    return { x: (left + right) / 2, y: (bottom + top) / 2, scale, width, height }
  }
  const toX = (panel, x) => (x - panel.view.x) * panel.view.scale + panel.stage.clientWidth / 2
  const toY = (panel, y) => (panel.view.y - y) * panel.view.scale + panel.stage.clientHeight / 2
  const fromX = (panel, px) => (px - panel.stage.clientWidth / 2) / panel.view.scale + panel.view.x
  const fromY = (panel, py) => panel.view.y - (py - panel.stage.clientHeight / 2) / panel.view.scale

  let asked = 0
  function ask() {
    asked ||= requestAnimationFrame(() => {
      asked = 0
      for (const panel of panels) draw(panel)
    })
  }

  function draw(panel) {
    const { clientWidth: width, clientHeight: height } = panel.stage
    if (!width || !height) return
    panel.view ??= whole(panel)
    memory.views[panel.number] = panel.view
    const dpr = Math.min(2, devicePixelRatio)
    const w = Math.round(width * dpr)
    const h = Math.round(height * dpr)
    if (panel.dots.width !== w || panel.dots.height !== h) {
      panel.dots.width = panel.top.width = w
      panel.dots.height = panel.top.height = h
      panel.image = panel.dots.getContext("2d").createImageData(w, h)
      panel.pixels = new Uint32Array(panel.image.data.buffer)
    }
    const { pixels, xy } = panel
    pixels.fill(0)
    const scale = panel.view.scale * dpr
    const x0 = w / 2 - panel.view.x * scale
    const y0 = h / 2 + panel.view.y * scale
    const size = Math.round((count > 5000 ? 2 : 3) * dpr)
    panel.seen = 0
    const alone = only()
    for (let i = 0; i < count; i++) {
      if (alone !== null && labels && labels[i] !== alone) continue
      const px = (x0 + xy[2 * i] * scale) | 0
      const py = (y0 - xy[2 * i + 1] * scale) | 0
      if (px < 0 || py < 0 || px >= w - size || py >= h - size) continue
      panel.seen++
      const colour = paint[i]
      for (let row = py * w + px, down = 0; down < size; down++, row += w)
        for (let across = 0; across < size; across++) pixels[row + across] = colour
    }
    panel.dots.getContext("2d").putImageData(panel.image, 0, 0)
    over(panel, dpr)
    root.frames = (root.frames ?? 0) + 1
  }

  function over(panel, dpr) {
    const pen = panel.top.getContext("2d")
    pen.setTransform(dpr, 0, 0, dpr, 0, 0)
    pen.clearRect(0, 0, panel.stage.clientWidth, panel.stage.clientHeight)
    if (panel.seen <= PICTURES_BELOW) drawPictures(panel, pen)
    else drawNames(panel, pen)
    pen.strokeStyle = theme("--st-text-color")
    for (const [x, y] of panel.marks) diamond(pen, toX(panel, x), toY(panel, y))
    if (memory.picked !== null) ring(panel, pen, memory.picked, 9, 3)
    if (hovered !== null) ring(panel, pen, hovered, 7, 2)
    const corners = outline(panel)
    if (corners?.length) {
      pen.beginPath()
      corners.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)))
      pen.closePath()
      pen.lineWidth = 1.5
      pen.stroke()
      pen.globalAlpha = 0.08
      pen.fillStyle = theme("--st-text-color")
      pen.fill()
      pen.globalAlpha = 1
    }
  }

  // Of the lasso that is being drawn, else of the one that holds: corners in pixels.
  function outline(panel) {
    if (panel.corners || memory.drawn?.panel !== panel.number) return panel.corners
    return memory.drawn.corners.map(([x, y]) => [toX(panel, x), toY(panel, y)])
  }

  function drawNames(panel, pen) {
    if (values || !labels) return
    pen.font = `600 13px ${theme("--st-font")}`
    pen.textAlign = "center"
    pen.textBaseline = "middle"
    panel.names.forEach((at, label) => {
      if (!at || (memory.only !== null && memory.only !== label)) return
      const [x, y] = [toX(panel, at[0]), toY(panel, at[1])]
      pen.lineWidth = 4
      pen.strokeStyle = theme("--st-secondary-background-color")
      pen.fillStyle = theme("--st-text-color")
      pen.strokeText(data.names[label], x, y)
      pen.fillText(data.names[label], x, y)
    })
  }

  function drawPictures(panel, pen) {
    pen.imageSmoothingEnabled = false
    const { clientWidth: width, clientHeight: height } = panel.stage
    for (let i = 0; i < count; i++) {
      if (hidden(i)) continue
      const [x, y] = [toX(panel, panel.xy[2 * i]), toY(panel, panel.xy[2 * i + 1])]
      if (x < 0 || y < 0 || x > width || y > height) continue
      picture(pen, i, x - PICTURE / 2, y - PICTURE / 2, PICTURE)
      pen.strokeStyle = labels ? classColour(labels[i]) : theme("--st-border-color")
      pen.lineWidth = 2
      pen.strokeRect(x - PICTURE / 2, y - PICTURE / 2, PICTURE, PICTURE)
    }
  }

  // The sheet of a picture is fetched when it is first needed.
  function picture(pen, i, x, y, size) {
    const { sheets: url, per_sheet: per, columns, tile } = data.sheets
    const number = Math.floor(i / per)
    const sheet = (sheets[number] ??= fetched(url.replace("{}", number), number))
    if (!sheet.complete || !sheet.naturalWidth) return false
    const place = i % per
    const [w, h] = tile
    pen.drawImage(sheet, (place % columns) * w, Math.floor(place / columns) * h, w, h, x, y, size, (size * h) / w)
    return true
  }
  function fetched(url, number) {
    const image = new Image()
    image.onerror = () => delete sheets[number] // asked again with the next look
    image.onload = () => {
      ask()
      if (hovered !== null) fill(hovered)
    }
    image.src = url
    return image
  }

  function ring(panel, pen, i, radius, width) {
    pen.beginPath()
    pen.arc(toX(panel, panel.xy[2 * i]), toY(panel, panel.xy[2 * i + 1]), radius, 0, 7)
    pen.lineWidth = width
    pen.strokeStyle = theme("--st-text-color")
    pen.stroke()
  }
  function diamond(pen, x, y) {
    pen.beginPath()
    for (const [dx, dy] of [[0, -9], [9, 0], [0, 9], [-9, 0]]) pen.lineTo(x + dx, y + dy)
    pen.closePath()
    pen.fillStyle = "#d55e00"
    pen.fill()
    pen.lineWidth = 2
    pen.stroke()
  }

  // --- finding and telling ---

  let hovered = null
  let waiting
  function nearest(panel, px, py) {
    const { index, xy } = panel
    const [x, y] = [fromX(panel, px), fromY(panel, py)]
    const reach = REACH / panel.view.scale
    const [c0, c1] = [index.column(x - reach), index.column(x + reach)]
    const [r0, r1] = [index.row(y - reach), index.row(y + reach)]
    let [best, least] = [null, reach * reach]
    for (let row = r0; row <= r1; row++)
      for (let column = c0; column <= c1; column++) {
        const cell = row * CELLS + column
        for (let at = index.starts[cell]; at < index.starts[cell + 1]; at++) {
          const i = index.order[at]
          const far = (xy[2 * i] - x) ** 2 + (xy[2 * i + 1] - y) ** 2
          if (far < least && !hidden(i)) [best, least] = [i, far]
        }
      }
    return best
  }

  function describe(i) {
    const parts = []
    if (labels) parts.push(data.names[labels[i]])
    parts.push(`picture ${i}`)
    if (values) parts.push(`${data.valueName} ${short(values[i])}`)
    return parts.join(", ")
  }

  function fill(i) {
    const began = performance.now()
    for (const panel of panels) {
      const inside = panel.card.querySelector("canvas")
      const [w, h] = data.sheets.tile
      inside.width = w
      inside.height = h
      const there = data.sheets.sheets && picture(inside.getContext("2d"), i, 0, 0, w)
      panel.card.querySelector("span").textContent = describe(i) + (there && data.sheets.decoded ? " (decoded from its code)" : "")
      if (there) root.shownIn = performance.now() - began
    }
  }

  function put(panel, px, py) {
    const { clientWidth: width, clientHeight: height } = panel.stage
    panel.card.style.display = "block"
    panel.card.style.left = `${px > width / 2 ? px - 132 : px + 18}px`
    panel.card.style.top = `${Math.min(Math.max(6, py - 40), height - 165)}px`
  }

  function overPlace(panel, px, py) {
    const found = nearest(panel, px, py)
    clearTimeout(waiting)
    if (found !== hovered) {
      hovered = found
      hideCards()
      ask()
    }
    waiting = setTimeout(() => {
      if (hovered !== null) fill(hovered)
      else if (!decode(panel, px, py)) return void (panel.card.style.display = "none")
      put(panel, px, py)
    }, hovered === null && panel.tileSheet ? 0 : WAIT)
  }

  function hideCards() {
    for (const panel of panels) panel.card.style.display = "none"
  }

  // Whether anything was there to hide.
  function hide() {
    const open = hovered !== null || panels.some((panel) => panel.card.style.display === "block")
    clearTimeout(waiting)
    hovered = null
    hideCards()
    ask()
    return open
  }

  // Whether there was one.
  function dropLasso() {
    if (!memory.lasso) return false
    memory.lasso = false
    showTool()
    told.textContent = "Lasso put away"
    return true
  }

  // Whether one held pictures.
  function letOut() {
    if (!memory.drawn) return false
    memory.drawn = null
    showTool()
    told.textContent = "Lasso let go"
    ask()
    setStateValue("lasso", null)
    return true
  }

  // What the decoder makes of a place where no picture is.
  function decode(panel, px, py) {
    const sheet = panel.tileSheet
    if (!sheet?.complete || !sheet.naturalWidth) return false
    const [[left, right], [bottom, top]] = panel.window
    const column = Math.floor(((fromX(panel, px) - left) / (right - left)) * panel.side)
    const row = Math.floor(((top - fromY(panel, py)) / (top - bottom)) * panel.side)
    if (column < 0 || row < 0 || column >= panel.side || row >= panel.side) return false
    const [w, h] = [sheet.naturalWidth / panel.side, sheet.naturalHeight / panel.side]
    const inside = panel.card.querySelector("canvas")
    inside.width = w
    inside.height = h
    inside.getContext("2d").drawImage(sheet, column * w, row * h, w, h, 0, 0, w, h)
    panel.card.querySelector("span").textContent = "No picture is here: decoded from this place"
    return true
  }

  function choose(i) {
    memory.picked = i
    told.textContent = i === null ? "Nothing chosen" : `Chosen: ${describe(i)}`
    ask()
    if (i !== 0) intoTheAddress("picture", i) // which the first is without a word
    setStateValue("picked", i ?? -1)
  }

  // Whether one was chosen.
  function letPictureGo() {
    if (memory.picked === null) return false
    choose(null)
    return true
  }

  // --- hands ---

  function listen(panel) {
    const { top } = panel
    const touches = new Map()
    let start = null
    const at = (event) => {
      const box = top.getBoundingClientRect()
      return [event.clientX - box.left, event.clientY - box.top]
    }
    const zoom = (px, py, factor) => {
      const [x, y] = [fromX(panel, px), fromY(panel, py)]
      const scale = panel.view.scale * factor
      panel.view = { ...panel.view, scale, x: x - (px - panel.stage.clientWidth / 2) / scale, y: y + (py - panel.stage.clientHeight / 2) / scale }
      ask()
    }
    top.addEventListener("wheel", (event) => {
      event.preventDefault()
      zoom(...at(event), Math.exp(-event.deltaY * 0.0015))
    }, { passive: false })
    top.onpointerdown = (event) => {
      if (event.button || event.ctrlKey) return // a menu swallows the end
      top.setPointerCapture(event.pointerId)
      touches.set(event.pointerId, at(event))
      start = { at: at(event), view: { ...panel.view }, lasso: memory.lasso || event.shiftKey, moved: false }
      panel.corners = start.lasso ? [at(event)] : null
    }
    top.onpointermove = (event) => {
      const [px, py] = at(event)
      if (!start) return overPlace(panel, px, py)
      if (!touches.has(event.pointerId)) return // a mouse beside a finger
      const before = [...touches.values()]
      touches.set(event.pointerId, [px, py])
      if (touches.size === 2) {
        const now = [...touches.values()]
        const wide = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1])
        start.moved = true
        return zoom((now[0][0] + now[1][0]) / 2, (now[0][1] + now[1][1]) / 2, wide(now) / (wide(before) || 1))
      }
      if (Math.hypot(px - start.at[0], py - start.at[1]) > STILL) start.moved = true
      if (!start.moved) return
      panel.card.style.display = "none"
      if (start.lasso) {
        const [lx, ly] = panel.corners[panel.corners.length - 1]
        if (Math.hypot(px - lx, py - ly) > NEAR) panel.corners.push([px, py])
      } else {
        const { view } = start
        panel.view = { ...view, x: view.x - (px - start.at[0]) / view.scale, y: view.y + (py - start.at[1]) / view.scale }
      }
      ask()
    }
    top.onpointerup = top.onpointercancel = (event) => {
      touches.delete(event.pointerId)
      if (!start) return
      if (event.type === "pointercancel") panel.corners = null
      else if (start.moved && start.lasso) finish(panel)
      else if (!start.moved) choose(nearest(panel, ...at(event)))
      const [left] = touches.values() // a finger that stays goes on from here, not from before a pinch
      start = left ? { at: left, view: { ...panel.view }, lasso: false, moved: true } : null
    }
    top.onpointerleave = () => {
      if (!start) hide()
    }
    top.onblur = hide
    // One thing at a time, what was begun last first.
    const letGo = () => {
      if (!start?.lasso) return hide() || dropLasso() || letPictureGo() || letOut()
      start = panel.corners = null
      dropLasso()
      hide()
    }
    const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }
    top.onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      const middle = [panel.stage.clientWidth / 2, panel.stage.clientHeight / 2]
      if (event.key === "+" || event.key === "=") zoom(...middle, 1.25)
      else if (event.key === "-") zoom(...middle, 0.8)
      else if (event.key === "0") root.querySelector(".home").click()
      else if (event.key === "Enter" && hovered !== null) choose(hovered)
      else if (event.key === "Escape") letGo()
      else if (WAYS[event.key]) walk(panel, WAYS[event.key])
      else return
      event.preventDefault()
    }
  }

  // To the nearest picture in a direction.
  function walk(panel, [dx, dy]) {
    const { xy } = panel
    const [x, y] = hovered === null ? [panel.view.x, panel.view.y] : [xy[2 * hovered], xy[2 * hovered + 1]]
    let [best, least] = [null, Infinity]
    for (let i = 0; i < count; i++) {
      const [ax, ay] = [xy[2 * i] - x, xy[2 * i + 1] - y]
      const ahead = ax * dx + ay * dy
      const aside = Math.abs(ax * dy) + Math.abs(ay * dx)
      if (ahead <= 0 || aside > ahead || hidden(i) || i === hovered) continue
      if (ahead + aside < least) [best, least] = [i, ahead + aside]
    }
    if (best === null) return
    hovered = best
    const [px, py] = [toX(panel, xy[2 * best]), toY(panel, xy[2 * best + 1])]
    if (px < 0 || py < 0 || px > panel.stage.clientWidth || py > panel.stage.clientHeight)
      panel.view = { ...panel.view, x: xy[2 * best], y: xy[2 * best + 1] }
    fill(best)
    put(panel, toX(panel, xy[2 * best]), toY(panel, xy[2 * best + 1]))
    told.textContent = describe(best)
    ask()
  }

  function finish(panel) {
    const step = Math.ceil(panel.corners.length / 300)
    const corners = panel.corners.filter((_, i) => i % step === 0).map(([px, py]) => [fromX(panel, px), fromY(panel, py)])
    panel.corners = null
    ask()
    if (corners.length < 3) return
    memory.lasso = false
    memory.drawn = { panel: panel.number, corners }
    showTool()
    setStateValue("lasso", memory.drawn)
  }

  const observer = new ResizeObserver(() => {
    for (const panel of panels) {
      const [view, now] = [panel.view, whole(panel)]
      if (!view || !now.width) continue
      const before = whole(panel, { clientWidth: view.width, clientHeight: view.height })
      panel.view = { ...view, scale: (view.scale * now.scale) / before.scale, width: now.width, height: now.height }
    }
    ask()
  })
  observer.observe(root)
  const dismiss = (event) => event.key === "Escape" && hide() // the pointer brings a card wherever the focus is
  document.addEventListener("keydown", dismiss)
  ask()
  root.end = () => {
    observer.disconnect()
    document.removeEventListener("keydown", dismiss)
  }
  return root.end
}

// --- plain functions ------------------------------------------------------------------------------------------------

function extremes(values) {
  const sorted = Float32Array.from(values).sort()
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))]
  return [at(0.01), at(0.99)]
}

const short = (value) =>
  (Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(2)).toString()).replaceAll("-", "−")

// A uniform grid over the points: which of them lie in a cell, in one array.
function indexed(xy, count) {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity]
  for (let i = 0; i < count; i++) {
    left = Math.min(left, xy[2 * i])
    right = Math.max(right, xy[2 * i])
    bottom = Math.min(bottom, xy[2 * i + 1])
    top = Math.max(top, xy[2 * i + 1])
  }
  const cell = (value, from, to) => Math.min(CELLS - 1, Math.max(0, Math.floor(((value - from) / (to - from || 1)) * CELLS)))
  const column = (x) => cell(x, left, right)
  const row = (y) => cell(y, bottom, top)
  const starts = new Int32Array(CELLS * CELLS + 1)
  const where = new Int32Array(count)
  for (let i = 0; i < count; i++) starts[(where[i] = row(xy[2 * i + 1]) * CELLS + column(xy[2 * i])) + 1]++
  for (let i = 0; i < CELLS * CELLS; i++) starts[i + 1] += starts[i]
  const next = starts.slice()
  const order = new Int32Array(count)
  for (let i = 0; i < count; i++) order[next[where[i]]++] = i
  return { starts, order, column, row }
}

function middle(xy, labels, label) {
  const own = []
  for (let i = 0; i < labels.length; i++) if (labels[i] === label) own.push(i)
  if (!own.length) return null
  const median = (offset) => own.map((i) => xy[2 * i + offset]).sort((a, b) => a - b)[own.length >> 1]
  return [median(0), median(1)]
}
