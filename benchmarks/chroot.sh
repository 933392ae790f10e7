#!/usr/bin/env bash
# Runs the Dockerfile's steps in chroots of Debian, then what its images are for and the fast tests, as user 10001
# on a root that is read-only, without a network.
#
#   apt-get install mmdebstrap; benchmarks/chroot.sh FOLDER    # as root; the root of STAGE is FOLDER/STAGE
#
# Debian's python3.11 stands in for the image python:3.11-slim-bookworm. BINDS and variables PIP_* let pip work in
# there as it does here. A stage that exists is not built again: delete its folder for that.
set -euo pipefail
context=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1/meta" && cd "$1"
pip=$(env | grep ^PIP_ | xargs || true)
binds=$(for path in ${BINDS:-/etc/resolv.conf /etc/ssl/certs}; do echo "$path:$path"; done)
opencv='pip uninstall --yes opencv-python && pip install -c constraints.txt --force-reinstall --no-deps opencv-python-headless'

# shellcheck disable=SC2016
enter='root=$PWD/$1 mode=$2 user=$3 variables=$4 command=$5; shift 5
mount --bind "$root" "$root"; mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"
for pair; do
  from=${pair%:*} to=$root${pair#*:}
  if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}"; touch "$to"; fi
  mount --bind "$from" "$to"
done
if [ "$mode" = ro ]; then
  for path in tmp dev/shm; do mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/$path"; done
  mount -o remount,bind,ro "$root"; ip link set lo up
fi
exec chroot --userspec="$user:$user" --groups= "$root" env -i $variables sh -euc ". /meta; $command"'

as_root() { # STAGE COMMAND [HOST:PATH...]: as a step of the Dockerfile
  # shellcheck disable=SC2086
  unshare --mount --pid --fork --kill-child bash -euc "$enter" _ "$1" rw 0 "$pip" "${@:2}" $binds < /dev/null
}

as_user() { # STAGE COMMAND [HOST:PATH...]: as docker run --read-only --tmpfs /tmp --network none -v HOST:PATH
  unshare --mount --pid --fork --kill-child --net bash -euc "$enter" _ "$1" ro "$(cat "meta/$1.USER")" "" "${@:2}"
}

copy() { # STAGE [--from=STAGE] SOURCE... TARGET
  local stage=$1 from=$context to=${*: -1} source
  case $2 in --from=*) from=${2#--from=}; shift ;; esac
  case $to in /*) to=$stage$to ;; *) to=$stage$(sed -n 's/^cd //p' "$stage/meta" | tail -1)/$to ;; esac
  mkdir -p "$to"
  for source in "${@:2:$#-2}"; do
    [ ! -d "$from/$source" ] || source=$source/.
    cp -r --preserve=mode,timestamps --remove-destination "$from/$source" "$to"
  done
}

while read -r word rest; do
  if [ "$word" = FROM ]; then
    stage=${rest##* } parent=${rest%% *} skip=''
    if [ -d "$stage" ]; then
      skip=1
    elif [ -d "$parent" ]; then
      cp -al "$parent" "$stage" # hard links: du counts what a stage adds
      cp --remove-destination "$parent/meta" "$stage/meta"
    else
      mmdebstrap --quiet --variant=minbase --include=ca-certificates,netbase,tzdata,python3.11-venv bookworm "$stage"
      echo 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' > "$stage/meta"
    fi
  fi
  case $skip$word in
    ENV) echo "export $rest" >> "$stage/meta" ;;
    WORKDIR) mkdir -p "$stage$rest"; echo "cd $rest" >> "$stage/meta" ;;
    USER) as_root "$stage" "id -u $rest" > "meta/$stage.USER" ;;
    RUN) echo "$stage: $rest"; time as_root "$stage" "$rest" > "meta/$stage.log" ;;
    COPY) eval "copy $stage $rest" ;;
    ENTRYPOINT | CMD | HEALTHCHECK) # a list in JSON
      python3 -c 'import json, shlex, sys; print(shlex.join(json.loads(sys.argv[1])))' "[${rest#*[}" > "meta/$stage.$word" ;;
  esac
done < <(sed -e '/^#/d; :a; /\\$/ {N; s/ *\\\n */ /; ba}' "$context/Dockerfile")
du -sm base restore ops # MB that each adds

rm -rf photos project && install -d -o 10001 photos
git clone --quiet "$context" project && chown -R 10001:10001 project && head -c 20 /dev/urandom | base64 > token
for arguments in 'faces sample -o masked --count 4 --seed 1 --masked' 'restore masked -o out --crop'; do
  time as_user restore "$(cat meta/restore.ENTRYPOINT) $arguments" "$PWD/photos:/photos"
done
time as_user ops "$(cat meta/ops.CMD) & until $(cat meta/ops.HEALTHCHECK) 2> /dev/null; do sleep 1; done; echo healthy" \
  "$PWD/project:/project" "$PWD/token:/run/secrets/token"
[ -d test ] || { cp -al ops test && cp meta/ops.USER meta/test.USER && as_root test \
  "pip install -c constraints.txt -e '.[dev]' && $opencv" "$PWD/project:/project" > meta/test.log; }
time as_user test "pytest -n 2 --dist loadfile -m 'not slow'" "$PWD/project:/project"
