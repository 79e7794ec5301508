-- Posts one multipart body, which lies in a file, until there are so many answers; tells of each tenth of
-- them, and then how it went.
-- Arguments: body file, boundary, answers
local wanted, answers, refused = 0, 0, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  wrk.headers["Content-Type"] = "multipart/form-data; boundary=" .. args[2]
  file:close()
  wanted = tonumber(args[3])
end

function response(status)
  answers = answers + 1
  if status ~= 200 then refused = refused + 1 end
  if answers <= wanted and math.floor(10 * answers / wanted) > math.floor(10 * (answers - 1) / wanted) then
    print("TENTH")
    io.stdout:flush()
  end
  -- wrk sleeps until its time is over, whatever its threads do: who started it interrupts it.
  if answers == wanted then
    print("REACHED")
    io.stdout:flush()
  end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'RESULT {"answers":%d,"seconds":%.3f,"p50":%.2f,"p99":%.2f,"max":%.2f,"refused":%d,"lost":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
