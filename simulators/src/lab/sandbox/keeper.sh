#!/usr/bin/env bash
# Starts a program in namespaces of its own, and tidies up after it.
#
#   keeper.sh FOLDER INIT PROGRAM [ARGUMENT…]
#
# FOLDER is the sandbox's, and its name the name of the sandbox's cgroups. The program's outputs go to
# FOLDER/log. When it has ended, its status is printed. End of input, which also comes when whoever
# started this was killed: the sandbox and everything in it end, and cgroups and folder are removed.
set -u
folder=$1 init=$2
shift 2

# Removes what a sandbox leaves outside its namespaces, once nothing runs in it any more.
forget() {
  # The kernel lets go of a cgroup a moment after its last process.
  for _ in {1..100}; do
    find /sys/fs/cgroup -depth -type d -path "*/${1##*/}*" -exec rmdir {} + 2>/dev/null
    [[ $(find /sys/fs/cgroup -maxdepth 3 -type d -name "${1##*/}" 2>/dev/null) ]] || break
    sleep 0.05
  done
  rm -rf "$1"
}

# Whoever holds this lock is the sandbox's keeper; the kernel lets go of it when that one ends. One
# keeper at a time begins, so that none takes another's folder for one that has lost its keeper: the file is made once
# the turn has come.
exec 8>>"${folder%.*}-keepers"
flock 8
exec 9>"$folder/lock"
flock 9
# Sandboxes whose keeper was killed, too, or lost power.
for other in "${folder%.*}".*; do
  [[ -e $other/lock ]] && flock --nonblock "$other/lock" true && forget "$other"
done
exec 8>&-

exec 3<&0
# Whatever ends this shell ends `unshare`, which ends the first process of its process namespace, and
# that is the end of all others in there.
setpriv --pdeathsig KILL \
  unshare --mount --propagation private --net --pid --mount-proc --ipc --uts --fork --kill-child \
  bash "$init" "$folder" "$@" </dev/null >>"$folder/log" 2>&1 3<&- 9>&- &
inside=$!
cat <&3 >/dev/null 9>&- &
starter=$!
wait -n -p first "$inside" "$starter"
status=$?
if [[ $first == "$starter" ]]; then
  read -r children <"/proc/$inside/task/$inside/children"
  # shellcheck disable=SC2086 # none, or one
  kill -KILL ${children:-$inside}
  wait "$inside"
else
  echo "$status"
  wait "$starter"
fi
forget "$folder"
