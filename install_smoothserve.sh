#!/usr/bin/env bash
# Installs smoothserve as a systemd service that lets its requests finish before it stops.
# `bash install_smoothserve.sh --help` says how it is used.
set -euo pipefail

readonly UNIT=smoothserve.service
readonly CONFIG=smoothserve.yaml

# Only for packagers: everything is written below this folder, and systemd is left alone.
readonly ROOT=${DESTDIR:-}
readonly UNIT_FILE=$ROOT/etc/systemd/system/$UNIT
readonly LINK=$ROOT/usr/local/bin/smoothtool

usage() {
    cat <<'HELP'
Installs smoothserve as a systemd service, and starts it.

  sudo bash install_smoothserve.sh              install, or upgrade what is installed
       bash install_smoothserve.sh --dry-run    show the unit and every command, and change nothing
  sudo bash install_smoothserve.sh --uninstall  stop the service and remove the unit
       bash install_smoothserve.sh --help

It stands in the folder that holds smoothserve.yaml and the programs smoothserve and smoothtool
(or they lie in target/release of that folder), and the service runs there.

An upgrade restarts the daemon: it finishes its requests, and then the ports are closed until the
new one has started. To replace a web service behind it, no installation is needed:
smoothtool restart NAME loses no request.

With DESTDIR=FOLDER in the environment, files are written below FOLDER and systemd is left alone.
HELP
}

# What is wrong, and then line by line why and what next.
refuse() {
    printf 'error: %s\n' "$1" >&2
    shift
    if (($# > 0)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

say() {
    printf '%s\n' "$*"
}

# Runs a command, or shows it.
run() {
    if $dry_run; then
        printf 'would run:'
        printf ' %q' "$@"
        printf '\n'
    else
        "$@"
    fi
}

# The same, unless there is no systemd to talk to.
run_systemctl() {
    if [[ -z $ROOT ]]; then run systemctl "$@"; fi
}

# ---- what there is -------------------------------------------------------------------------------

# The folder of the programs; sets `programs`.
find_programs() {
    local candidate program
    for candidate in "$folder" "$folder/target/release"; do
        if [[ -f $candidate/smoothserve ]]; then
            programs=$candidate
            break
        fi
    done
    if [[ -z ${programs:-} ]]; then
        refuse "no program smoothserve in $folder or $folder/target/release" \
            "next: cargo build --release   or put the programs beside this script"
    fi
    for program in smoothserve smoothtool; do
        [[ -f $programs/$program ]] || refuse "no program $program in $programs" \
            "smoothserve is there, and its tool belongs to it" \
            "next: cargo build --release   or put it there"
        [[ -x $programs/$program ]] || refuse "$programs/$program is not executable" \
            "next: chmod +x $programs/$program"
    done
}

# A configuration that the daemon would refuse must not replace a daemon that runs.
check_config() {
    local said
    [[ -f $folder/$CONFIG ]] || refuse "no $CONFIG in $folder" \
        "the service runs in the folder of this script, with the configuration there" \
        "next: cp $CONFIG services -r into it, or run the script where they are"
    if ! said=$("$programs/smoothserve" --check --config "$folder/$CONFIG" 2>&1); then
        printf '%s\n' "$said" >&2
        refuse "the configuration is not sound, see above; nothing was changed" \
            "next: mend it, then run this again"
    fi
    say "configuration: $said"
}

# systemd gives some characters in a unit a meaning of their own.
check_folder() {
    if [[ $programs =~ [[:cntrl:]\"\'\\\$] ]]; then
        refuse "the folder $programs cannot be named in a unit" \
            "its name holds a quote, a backslash, a dollar or a control character" \
            "next: move it"
    fi
}

# The daemon's shutdown_timeout in whole seconds, rounded up. --check found it sound; what is left is
# to find it in the file.
shutdown_timeout() {
    local line setting seconds=60
    local pattern="^[\"']?shutdown_timeout[\"']?[[:space:]]*:[[:space:]]*[\"']?([0-9]+)[[:space:]]*"
    pattern+="(ms|s|m|h)?[\"']?[[:space:]]*(#.*)?$"
    while IFS= read -r line || [[ -n $line ]]; do
        setting=${line%%$'\r'}
        setting=${setting,,}
        if [[ ! ${setting%%#*} == *shutdown_timeout* ]]; then continue; fi
        [[ $setting =~ $pattern ]] || refuse "cannot read shutdown_timeout in $folder/$CONFIG" \
            "it stands there as: $line" \
            "next: give it a line of its own, such as shutdown_timeout: 2m"
        seconds=$((10#${BASH_REMATCH[1]}))
        case ${BASH_REMATCH[2]} in
            ms) seconds=$(((seconds + 999) / 1000)) ;;
            m) seconds=$((seconds * 60)) ;;
            h) seconds=$((seconds * 3600)) ;;
        esac
    done <"$folder/$CONFIG"
    printf '%s\n' "$seconds"
}

needs_root_and_systemd() {
    if $dry_run || [[ -n $ROOT ]]; then return; fi
    if ((EUID != 0)); then
        refuse "this needs root" "it writes $UNIT_FILE and asks systemd to start it" \
            "next: sudo bash $0   or look first: bash $0 --dry-run"
    fi
    if [[ ! -d /run/systemd/system ]]; then
        refuse "systemd does not run here" "there is no /run/systemd/system" \
            "next: smoothtool start   runs smoothserve in the background without it"
    fi
}

# ---- what is written -----------------------------------------------------------------------------

unit() {
    local folder=${folder//%/%%} programs=${programs//%/%%} timeout=$1
    cat <<UNIT
# Written by install_smoothserve.sh, which replaces it. For settings of your own:
# systemctl edit smoothserve

[Unit]
Description=smoothserve, reverse proxy and parent of the web services behind it
Wants=network-online.target
After=network-online.target
# Never give up: without the daemon nothing is served.
StartLimitIntervalSec=0

[Service]
# The daemon itself says when it serves; an instance that inherits the socket is not heard.
Type=notify
NotifyAccess=main
WorkingDirectory=$folder
ExecStart="$programs/smoothserve" --config "$folder/$CONFIG"
# Reads the configuration again; what is wrong with it is in the log and in "smoothtool status".
ExecReload=/bin/kill -HUP \$MAINPID

# The signal goes to the daemon alone, which stops each instance once its requests are done. Only
# what is left after the time below is killed: shutdown_timeout (${timeout} s), and 30 s for the
# instances to exit.
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=$((timeout + 30))
# Each service has a ready_timeout of its own.
TimeoutStartSec=infinity

Restart=on-failure
RestartSec=1
# Exit code 2 is a bad configuration, which trying again does not mend.
RestartPreventExitStatus=2
# An instance that ran out of memory is started again by the daemon, and takes nobody with it.
OOMPolicy=continue
# Two descriptors a connection; and the processes of all services together.
LimitNOFILE=524288
TasksMax=infinity

[Install]
WantedBy=multi-user.target
UNIT
}

# Writes the unit; another one that was there is kept beside it.
write_unit() {
    local text=$1
    if [[ -f $UNIT_FILE ]] && ! printf '%s\n' "$text" | cmp -s - "$UNIT_FILE"; then
        say "another $UNIT is installed; it is kept as $UNIT_FILE.old"
        run cp --backup=numbered --preserve "$UNIT_FILE" "$UNIT_FILE.old"
    fi
    if $dry_run; then
        printf 'would write %s:\n\n%s\n\n' "$UNIT_FILE" "$text"
        return
    fi
    mkdir -p "$(dirname "$UNIT_FILE")"
    # Renamed into place, so that systemd never reads half of it.
    printf '%s\n' "$text" >"$UNIT_FILE.new"
    mv "$UNIT_FILE.new" "$UNIT_FILE"
    say "wrote $UNIT_FILE"
}

# Makes smoothtool a command, unless that name is somebody else's program.
link_tool() {
    if [[ -e $LINK && ! -L $LINK ]]; then
        say "$LINK is a program of its own and stays as it is; ours is $programs/smoothtool"
        return
    fi
    say "smoothtool becomes a command: $LINK -> $programs/smoothtool"
    run mkdir -p "$(dirname "$LINK")"
    run ln -sfn "$programs/smoothtool" "$LINK"
}

# ---- the three things it can do ------------------------------------------------------------------

install() {
    find_programs
    check_config
    check_folder
    local timeout
    timeout=$(shutdown_timeout)
    needs_root_and_systemd
    write_unit "$(unit "$timeout")"
    link_tool
    run_systemctl daemon-reload
    run_systemctl enable --quiet "$UNIT"
    say "starting smoothserve. If it ran already, that one finishes its requests first, in at most" \
        "$timeout s, and the ports are closed until the new one has started"
    if ! run_systemctl restart "$UNIT"; then
        refuse "$UNIT was installed, but does not start" \
            "next: journalctl -u smoothserve -n 30 --no-pager"
    fi
    if ! $dry_run && [[ -z $ROOT ]]; then
        say "smoothserve serves. Look: smoothtool status   Stop: systemctl stop smoothserve"
    fi
}

uninstall() {
    needs_root_and_systemd
    if [[ -f $UNIT_FILE ]]; then
        say "stopping smoothserve: it finishes its requests first"
        run_systemctl disable --now "$UNIT"
        say "removing $UNIT_FILE"
        run rm -f "$UNIT_FILE"
        run_systemctl daemon-reload
    else
        say "no unit $UNIT_FILE; there is nothing to stop"
    fi
    local target
    target=$(readlink "$LINK" || true)
    if [[ $target == "$folder/smoothtool" || $target == "$folder/target/release/smoothtool" ]]; then
        say "removing $LINK"
        run rm -f "$LINK"
    fi
    say "programs, configuration, token and logs stay in $folder"
}

# ---- begin ---------------------------------------------------------------------------------------

dry_run=false
action=install
for argument in "$@"; do
    case $argument in
        --dry-run) dry_run=true ;;
        --uninstall) action=uninstall ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            printf 'error: unknown option %s\n  next: bash %s --help\n' "$argument" "$0" >&2
            exit 2
            ;;
    esac
done
folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")" && pwd -P)
"$action"
