if obj.status == nil or obj.status.heldRemovals == nil then
  error("no removals wait for approval")
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
-- Stands for exactly the removals that status shows: others are held again.
obj.metadata.annotations["directorysync.dev/approve-removals"] = obj.status.heldRemovals.digest
return obj
