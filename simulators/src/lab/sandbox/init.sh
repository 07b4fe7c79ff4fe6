#!/usr/bin/env bash
# The first process of a sandbox: makes its namespaces habitable, runs the program, and with its own end
# ends all that is left in there.
#
#   init.sh FOLDER PROGRAM [ARGUMENT…]
set -eu
folder=$1
shift

# Whoever looks for what is left of these namespaces must have hold of them before they end.
readlink /proc/self/ns/pid >"$folder/namespace.new"
mv "$folder/namespace.new" "$folder/namespace"
until [[ -e $folder/go ]]; do
  sleep 0.01
done

# What programs keep outside their own folders goes to folders of the sandbox: sockets and network
# namespaces, state, logs.
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir "$folder"/{lib,lib-work,sysctl,tmp}
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$folder/lib,workdir=$folder/lib-work" /var/lib

# Settings of the whole machine that a kubelet changes: it may, but of copies.
for setting in vm/overcommit_memory kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [[ -e /proc/sys/$setting ]] || continue
  copy=$folder/sysctl/${setting//\//.}
  cat "/proc/sys/$setting" >"$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done

# Version 1 of cgroups has a hierarchy for each controller, version 2 one for all.
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
  [[ ! -e $hierarchy/cgroup.procs ]] || mkdir "$hierarchy/${folder##*/}"
done

ip link set lo up
export TMPDIR=$folder/tmp
status=0
"$@" || status=$?
exit "$status"
