-- What wrk asks, as the environment says: BODY (a file), TYPE, and JSON_BYTES for a binary body.
wrk.method = "POST"
local file = io.open(os.getenv("BODY"), "rb")
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = os.getenv("TYPE")
if os.getenv("JSON_BYTES") then
  wrk.headers["Inference-Header-Content-Length"] = os.getenv("JSON_BYTES")
end

function done(summary, latency)
  local bad = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %.6f, "p99_ms": %.3f, "bad": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3,
    bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
