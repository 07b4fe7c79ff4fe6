local os = require("os")

if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
-- Only another text than the last one asks for a run.
obj.metadata.annotations["directorysync.dev/sync-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
