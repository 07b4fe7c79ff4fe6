local suspended = obj.spec ~= nil and obj.spec.suspend == true
local preview = obj.spec ~= nil and obj.spec.mode == "Preview"

local held = nil
if obj.status ~= nil and obj.status.heldRemovals ~= nil then
  held = obj.status.heldRemovals.digest
end
local approved = nil
if obj.metadata.annotations ~= nil then
  approved = obj.metadata.annotations["directorysync.dev/approve-removals"]
end

return {
  ["sync-now"] = {
    disabled = suspended,
    displayName = "Sync now",
    iconClass = "fa fa-fw fa-sync",
  },
  ["suspend"] = {
    disabled = suspended,
    displayName = "Suspend",
    iconClass = "fa fa-fw fa-pause-circle",
  },
  ["resume"] = {
    disabled = not suspended,
    displayName = "Resume",
    iconClass = "fa fa-fw fa-play-circle",
  },
  ["approve-removals"] = {
    disabled = suspended or preview or held == nil or held == approved,
    displayName = "Approve held removals",
    iconClass = "fa fa-fw fa-user-minus",
  },
}
