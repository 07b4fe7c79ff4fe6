-- Whether a DirectorySync does what its spec asks for.
--
-- Held removals are Healthy, with a message: everything else is in sync, nothing in Git is wrong,
-- and a sync of the application must not wait for days until somebody has decided about leavers.
-- They are told by the condition RemovalsHeld, an event, an alert, and the action approve-removals.
local function condition(kind)
  if obj.status == nil or obj.status.conditions == nil then
    return nil
  end
  for _, found in ipairs(obj.status.conditions) do
    if found.type == kind then
      return found
    end
  end
  return nil
end

local ready = condition("Ready")
if ready == nil then
  return { status = "Progressing", message = "Waiting for the operator" }
end
-- What status says of an older spec says nothing about this one.
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to see the change" }
end
local stalled = condition("Stalled")
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.reason .. ": " .. stalled.message }
end
if ready.status == "True" then
  if ready.reason == "Suspended" then
    return { status = "Suspended", message = ready.message }
  end
  -- A run under way takes nothing back of what the last one of the same spec found.
  return { status = "Healthy", message = ready.message }
end
if ready.status == "False" then
  return { status = "Degraded", message = ready.reason .. ": " .. ready.message }
end
return { status = "Progressing", message = ready.message }
