// What Streamlit would put into the address a moment later stands there already, so that it adds nothing to the history, in
// which every place that a pointer was set down would be a step back to nowhere.
function intoTheAddress(name, value) {
  const parts = location.search.slice(1).split("&").filter(Boolean)
  const found = parts.findIndex((part) => part.startsWith(`${name}=`))
  const told = value === null ? [] : [`${name}=${encodeURIComponent(value)}`]
  parts.splice(found < 0 ? parts.length : found, 1, ...told)
  history.replaceState(history.state, "", parts.length ? `?${parts.join("&")}` : location.pathname)
}
