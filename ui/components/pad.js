// A drawing pad. Strokes are lists of points in the unit square; the server draws them at the size of the models.
const INK = 0.085
const NEAR = 0.015

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".pad")
  const canvas = root.querySelector("canvas")
  const ink = canvas.getContext("2d")
  root.strokes ??= data.strokes
  const side = (canvas.width = canvas.height = 560)

  const draw = () => {
    ink.fillStyle = "#000"
    ink.fillRect(0, 0, side, side)
    ink.strokeStyle = "#fff"
    ink.lineWidth = INK * side
    ink.lineCap = ink.lineJoin = "round"
    for (const stroke of root.strokes) {
      ink.beginPath()
      stroke.forEach(([x, y], i) => (i ? ink.lineTo(x * side, y * side) : ink.moveTo(x * side, y * side)))
      if (stroke.length === 1) ink.lineTo(stroke[0][0] * side + 0.1, stroke[0][1] * side)
      ink.stroke()
    }
    if (!root.strokes.length) {
      ink.fillStyle = "#888"
      ink.font = "28px sans-serif"
      ink.textAlign = "center"
      ink.fillText("Draw here", side / 2, side / 2)
    }
  }
  const send = () => {
    draw()
    setStateValue("strokes", root.strokes)
  }
  const at = (event) => {
    const box = canvas.getBoundingClientRect()
    const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)]
  }

  // On the root: an answer to one stroke may come during the next.
  canvas.onpointerdown = (event) => {
    if (root.stroke || event.button || event.ctrlKey) return // one hand at a time; a menu swallows the end
    if (root.strokes.length >= data.most) return
    canvas.setPointerCapture(event.pointerId)
    root.stroke = { id: event.pointerId, points: [at(event)] }
    root.strokes.push(root.stroke.points)
    draw()
  }
  canvas.onpointermove = (event) => {
    if (event.pointerId !== root.stroke?.id) return
    const { points } = root.stroke
    const [x, y] = at(event)
    const [lastX, lastY] = points[points.length - 1]
    if (Math.hypot(x - lastX, y - lastY) > NEAR && points.length < 400) points.push([x, y])
    draw()
  }
  canvas.onpointerup = canvas.onpointercancel = canvas.onlostpointercapture = (event) => {
    if (event.pointerId !== root.stroke?.id) return
    root.stroke = null
    send()
  }
  root.querySelector(".undo").onclick = () => {
    root.strokes.pop()
    send()
  }
  root.querySelector(".clear").onclick = () => {
    root.strokes = []
    send()
  }
  draw()
}
