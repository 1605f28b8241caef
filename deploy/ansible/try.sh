#!/bin/sh
# Runs roll-out.yml against this machine, in a folder that stands for a box: a good release, a broken one that is
# rolled back, the good one again, and one after a run that was cut off before it applied its files. Usage: try.sh ANSIBLE_PLAYBOOK INSTORE_EDGE
set -eu
playbook=$1 edge=$2
here=$(cd "$(dirname "$0")" && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
mkdir -p "$box/etc/conf.d" "$box/good/all" "$box/good/box-1" "$box/bad/all"
printf '[[cameras]]\nname = "door"\nsource = "0"\n' > "$box/etc/config.toml"
printf '[mqtt]\nhost = "old.example"\n' > "$box/etc/conf.d/10-fleet.toml"
printf '[mqtt]\nhost = "new.example"\n' > "$box/good/all/10-fleet.toml"
printf 'box = "edge-9"\n' > "$box/good/box-1/80-box.toml"
printf '[mqtt]\nport = 0\n' > "$box/bad/all/20-mistake.toml"
printf '#!/bin/sh\necho reload >> "%s/applied"\n' "$box" > "$box/apply"
chmod +x "$box/apply"

roll_out() {
    "$playbook" -i "box-1," -c local "$here/roll-out.yml" -e "instore_files=$1/" -e "instore_etc=$box/etc" \
        -e "instore_edge=$edge" -e ansible_python_interpreter=/usr/bin/python3 -e "{instore_apply: [$box/apply], instore_check: false, instore_health: ''}"
}
shown() { "$edge" config show --config "$box/etc/config.toml" --json; }

roll_out "$box/good"
shown | grep -q '"host": "new.example"'
shown | grep -q '"box": "edge-9"'
[ "$(wc -l < "$box/applied")" = 1 ]
if roll_out "$box/bad"; then echo "a broken release was accepted" >&2; exit 1; fi
[ ! -e "$box/etc/conf.d/20-mistake.toml" ]
shown | grep -q '"host": "new.example"'
roll_out "$box/good"
[ "$(wc -l < "$box/applied")" = 2 ] # the one of the rollback; nothing has changed since
rm "$box/etc/conf.d.applied"
printf 'box = "edge-7"\n' > "$box/etc/conf.d/80-box.toml"
printf 'box = "edge-7"\n' > "$box/good/box-1/80-box.toml"
roll_out "$box/good"
[ "$(wc -l < "$box/applied")" = 3 ] # though it changed no file
grep -q edge-9 "$box/etc/conf.d.before/80-box.toml"
echo "rolled out, rolled back, nothing to do the third time, and applied what a run left that was cut off"
