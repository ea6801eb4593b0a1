-- Ten thousand different clicks: query, user agent and forwarded address of each are made once, then sent in turn.
local count = 10000
local link = os.getenv("BENCH_LINK")
local requests = {}
local at = 0

local function hex(n, digits)
  return string.format("%0" .. digits .. "x", n)
end

function init(_)
  math.randomseed(7)
  for i = 1, count do
    local gaid = hex(math.random(0, 0xffffff), 8) .. "-" .. hex(i, 4) .. "-4abc-8def-" .. hex(math.random(0, 0xffffff), 12)
    local path = "/c/" .. link .. "?click_id=" .. hex(i * 7919, 16) .. "&gaid=" .. gaid
      .. "&campaign=spring_" .. (i % 50) .. "&site_id=site" .. (i % 300) .. "&sub1=banner&af_sub2=" .. i
    local agent = "Mozilla/5.0 (Linux; Android " .. (8 + i % 8) .. "; Pixel " .. (i % 1000)
      .. ") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" .. (100 + i % 40) .. ".0." .. i .. ".0 Mobile Safari/537.36"
    local address = (1 + i % 200) .. "." .. (i % 250) .. "." .. (i % 241) .. "." .. (1 + i % 253)
    requests[i] = wrk.format("GET", path, {
      ["User-Agent"] = agent, ["X-Forwarded-For"] = address, ["Accept-Language"] = "de-DE,de;q=0.9",
    })
  end
end

function request()
  at = at % count + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format("RESULT requests=%d duration_us=%d p50_us=%d p99_us=%d status_errors=%d socket_errors=%d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
