// Pictures of one scene: a divider over two of them, and a lens that shows the same spot of all. Nothing goes to the server.
const STILL = 4 // pixels that a click may move
const STRIDE = 0.1 // of what the lens shows, by an arrow key
const SMALLEST = 8 // pixels of the rectangle around the spot
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".compare")
  const [frame, stage, divider, spot, said, toggle, hint, panes] = [
    ".frame", ".stage", ".divider", ".spot", ".said", ".toggle", ".hint", ".panes",
  ].map((name) => root.querySelector(name))
  const canvases = [...panes.querySelectorAll("canvas")].slice(0, data.pictures.length)
  const size = data.size
  if (String(root.memory?.size) !== String(size)) {
    root.memory = { size, divided: 50, at: size.map((side) => side / 2), pinned: true, lens: true, zoom: 1 }
    root.dataset.state = "opening"
  }
  const memory = root.memory
  const opened = (root.opened ??= new Map()) // address -> promise of a picture
  let bitmaps = null
  let over = false // another call has taken over

  // --- words and pictures ---

  const names = data.labels.map((label) => `“${label}”`)
  stage.style.setProperty("--ratio", size[0] / size[1])
  stage.setAttribute("aria-label", `${data.alt}. Arrow keys move the lens, m shows or hides it.`)
  divider.setAttribute("aria-label", `Divider between ${names[0]} and ${names[1]}`)
  const layers = [".before", ".after"].map((name) => root.querySelector(name))

  function label() {
    panes.style.setProperty("--panes", data.pictures.length)
    panes.querySelectorAll(".pane").forEach((pane, i) => {
      pane.hidden = i >= data.pictures.length
      pane.querySelector(".label").textContent = data.labels[i] ?? ""
      pane.querySelector("canvas").setAttribute("aria-label", `Lens on ${names[i]}`)
    })
    layers.forEach((layer, i) => {
      layer.querySelector(".label").textContent = data.labels[i]
      layer.querySelector("img").alt = `${data.alt}: ${data.labels[i]}`
    })
  }

  if (root.dataset.state !== "open") {
    label()
    say("opening", "Opening the pictures…")
  } // else what was open keeps its labels until the other pictures take its place
  for (const address of data.pictures) if (!opened.has(address)) opened.set(address, open(address))
  Promise.allSettled(data.pictures.map((address) => opened.get(address))).then(show)

  function show(results) {
    if (over) return
    const failed = results.findIndex((one) => one.status === "rejected")
    if (failed >= 0) {
      results.forEach((one, i) => one.status === "rejected" && opened.delete(data.pictures[i]))
      return say("failed", `The picture ${names[failed]} did not open: it is gone from the server, or damaged. Reload the page.`)
    }
    const pictures = results.map((one) => one.value)
    const sizes = pictures.map(({ bitmap }) => [bitmap.width, bitmap.height])
    const odd = sizes.findIndex((one) => String(one) !== String(size))
    if (odd >= 0) {
      const [is, ought] = [sizes[odd], size].map((sides) => sides.join(" × "))
      return say("failed", `The picture ${names[odd]} has ${is} pixels and not ${ought}. Only pictures of one size can be compared.`)
    }
    bitmaps = pictures.map((one) => one.bitmap)
    label()
    layers.forEach((layer, i) => (layer.querySelector("img").src = pictures[i].url))
    forget((address) => !data.pictures.includes(address))
    say("open", "")
    draw()
  }

  function say(state, words) {
    root.dataset.state = state
    said.textContent = words
  }

  function forget(which) {
    for (const [address, picture] of opened) {
      if (!which(address)) continue
      opened.delete(address)
      picture.then(close, () => {})
    }
  }

  // --- the divider ---

  function divide(percent) {
    memory.divided = Math.min(100, Math.max(0, percent))
    stage.style.setProperty("--at", `${memory.divided}%`)
    const whole = Math.round(memory.divided)
    divider.setAttribute("aria-valuenow", whole)
    divider.setAttribute("aria-valuetext", `${whole}% ${names[0]}`)
  }

  // --- the lens ---

  const side = () => Math.floor(canvases[0].parentElement.clientWidth * devicePixelRatio) // of a pane, in device pixels
  const seen = () => side() / memory.zoom // of the picture, in its pixels

  function look(at) {
    const half = seen() / 2
    memory.at = at.map((value, i) => (2 * half >= size[i] ? size[i] / 2 : Math.min(size[i] - half, Math.max(half, value))))
    ask()
  }

  let asked = 0
  function ask() {
    asked ||= requestAnimationFrame(draw)
  }

  function draw() {
    asked = 0
    const pixels = side()
    if (!bitmaps || !memory.lens || !pixels) return
    const whole = Math.ceil(seen())
    const corner = memory.at.map((value) => Math.round(value - seen() / 2))
    canvases.forEach((canvas, i) => {
      if (canvas.width !== pixels) canvas.width = canvas.height = pixels
      canvas.style.width = `${pixels / devicePixelRatio}px`
      const pen = canvas.getContext("2d")
      pen.imageSmoothingEnabled = false
      pen.clearRect(0, 0, pixels, pixels)
      pen.drawImage(bitmaps[i], ...corner, whole, whole, 0, 0, whole * memory.zoom, whole * memory.zoom)
    })
    const shown = [stage.clientWidth, stage.clientHeight]
    const [w, h] = shown.map((length, i) => Math.max(SMALLEST, Math.min(1, seen() / size[i]) * length))
    spot.style.cssText = `width: ${w}px; height: ${h}px; left: ${(memory.at[0] / size[0]) * shown[0] - w / 2}px; top: ${(memory.at[1] / size[1]) * shown[1] - h / 2}px`
  }

  function tell() {
    root.classList.toggle("looking", memory.lens)
    toggle.setAttribute("aria-pressed", memory.lens)
    stage.tabIndex = memory.lens ? 0 : -1 // nothing to move by keys without it
    for (const button of root.querySelectorAll(".zooms button")) button.setAttribute("aria-pressed", Number(button.value) === memory.zoom)
    const finger = matchMedia("(hover: none)").matches
    if (!memory.lens) hint.textContent = `Drag to move the divider. Double-${finger ? "tap" : "click"} to look closer.`
    else if (finger) hint.textContent = "Tap the picture to look elsewhere, drag to move the divider."
    else hint.textContent = memory.pinned ? "The lens is pinned. Click the picture, and it follows the pointer." : "The lens follows the pointer. Click to pin it."
  }

  function set(changes) {
    Object.assign(memory, changes)
    tell()
    look(memory.at)
  }

  // --- hands ---

  const share = (event) => {
    const box = stage.getBoundingClientRect()
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
  }
  const under = (event) => share(event).map((value, i) => value * size[i])

  let press = null
  stage.onpointerdown = (event) => {
    if (!event.isPrimary || event.button) return
    stage.setPointerCapture(event.pointerId)
    const onHandle = divider.contains(event.target)
    const slack = onHandle ? memory.divided - 100 * share(event)[0] : 0 // a handle taken at its edge must not jump
    press = { x: event.clientX, y: event.clientY, before: memory.divided, onHandle, slack, moved: false }
  }
  stage.onpointermove = (event) => {
    if (!event.isPrimary) return
    if (press) {
      press.moved ||= Math.hypot(event.clientX - press.x, event.clientY - press.y) > STILL
      if (!press.moved) return
      root.classList.add("pressed")
      divide(100 * share(event)[0] + press.slack)
    } else if (memory.lens && !memory.pinned && event.pointerType !== "touch") look(under(event))
  }
  stage.onpointerup = (event) => {
    if (!press || !event.isPrimary) return
    const { moved, onHandle } = press
    release()
    if (moved) divider.focus({ preventScroll: true }) // arrow keys go on from here
    else if (memory.lens && !onHandle) set({ at: under(event), pinned: event.pointerType === "touch" || !memory.pinned })
  }
  stage.onpointercancel = (event) => {
    if (!press || !event.isPrimary) return
    divide(press.before) // it was a scroll
    release()
  }
  function release() {
    press = null
    root.classList.remove("pressed")
  }
  stage.ondblclick = (event) => set(memory.lens ? { lens: false } : { lens: true, at: under(event), pinned: true })

  panes.onpointerdown = (event) => {
    if (!event.isPrimary || event.button) return
    panes.setPointerCapture(event.pointerId)
    set({ pinned: true })
    let from = [event.clientX, event.clientY]
    panes.onpointermove = (event) => {
      if (!event.isPrimary) return
      const to = [event.clientX, event.clientY]
      look(memory.at.map((value, i) => value - ((to[i] - from[i]) * devicePixelRatio) / memory.zoom))
      from = to
    }
  }
  panes.onpointerup = panes.onpointercancel = () => (panes.onpointermove = null)

  // --- keys and buttons ---

  divider.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const [across, down] = WAYS[event.key] ?? [0, 0]
    if (event.key === "Home") divide(0)
    else if (event.key === "End") divide(100)
    else if (WAYS[event.key]) divide(Math.round(memory.divided) + (across - down) * (event.shiftKey ? 10 : 1))
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  stage.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (!WAYS[event.key] || !memory.lens) return
    event.preventDefault()
    const step = seen() * (event.shiftKey ? 1 : STRIDE)
    set({ pinned: true, at: memory.at.map((value, i) => value + WAYS[event.key][i] * step) })
  }
  root.onkeydown = (event) => {
    if (event.key === "m" && !event.ctrlKey && !event.metaKey && !event.altKey) set({ lens: !memory.lens })
  }
  toggle.onclick = () => set({ lens: !memory.lens })
  root.querySelector(".zooms").onclick = (event) => {
    if (event.target.value) set({ zoom: Number(event.target.value) })
  }

  divide(memory.divided)
  tell()
  const observer = new ResizeObserver(() => look(memory.at))
  observer.observe(frame)
  observer.observe(panes)
  const end = () => {
    over = true
    release()
    panes.onpointermove = null
    cancelAnimationFrame(asked)
    observer.disconnect()
  }
  root.end?.() // of the call before, whose pictures are closed by now
  root.end = end
  return () => {
    end()
    setTimeout(() => root.isConnected || forget(() => true)) // a call that another one overtook ends here, too
  }
}

// Decoded once and kept: an <img> is decoded anew whenever the browser finds memory short, which a moving lens would show.
async function open(address) {
  const answer = await fetch(address)
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`)
  const blob = await answer.blob()
  const bitmap = await createImageBitmap(blob)
  return { bitmap, url: URL.createObjectURL(blob) }
}

function close({ bitmap, url }) {
  bitmap.close()
  URL.revokeObjectURL(url)
}
