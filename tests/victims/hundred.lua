-- For wrk: a path of its own for each request, /0, /1 ...
local number = -1

request = function()
	number = number + 1
	return wrk.format("GET", "/" .. number, { ["Connection"] = "close" })
end
