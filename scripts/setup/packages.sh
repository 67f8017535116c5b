# shellcheck shell=sh
# What comes from the system's package manager: QEMU, and a C compiler, which Rust needs to link host programs.
#
# The stamp $qemu_stamp holds the path of the QEMU whose version was found good: asking it takes longer than all the
# other checks. Who needs more of QEMU raises the minimum and names another stamp.
# shellcheck disable=SC2119,SC2120,SC2154 # optional arguments; root, out and stamp come from setup.sh

QEMU_MINIMUM=7.2
QEMU_PROGRAM=qemu-system-aarch64
qemu_stamp=$out/qemu

packages_setup() {
    missing=
    qemu_good || missing=qemu
    have cc || missing="$missing cc"
    [ -z "$missing" ] || install_missing
}

# For what builds only: QEMU may be absent.
host_linker_setup() {
    missing=cc
    have cc || install_missing
}

have() {
    command -v "$1" >/dev/null 2>&1
}

qemu_good() {
    path=$(command -v $QEMU_PROGRAM) || return 1
    if [ -f "$qemu_stamp" ] && [ "$(cat "$qemu_stamp")" = "$path" ]; then return 0; fi
    # shellcheck disable=SC2046 # two words each
    version_at_least $(qemu_version) $(printf '%s' $QEMU_MINIMUM | tr . ' ') || return 1
    if [ "$stamp" = yes ]; then printf '%s\n' "$path" >"$qemu_stamp"; fi
}

# "MAJOR MINOR" of the QEMU on the path, "0 0" if it will not say.
qemu_version() {
    version=$($QEMU_PROGRAM --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    printf '%s\n' "${version:-0 0}"
}

# Installs the items in $missing, or ends the script with what is to be done.
install_missing() {
    case $(uname -s) in
    Darwin) brew_install ;;
    Linux)
        for manager in apt-get dnf pacman zypper apk ''; do
            if [ -z "$manager" ]; then unknown_system; elif have "$manager"; then break; fi
        done
        become_root
        note "installing with $manager: $(package_names)"
        manager_install </dev/null || die "$manager could not install: $(package_names)"
        ;;
    *) unknown_system ;;
    esac
    hash -r
    for item in $missing; do
        case $item in
        cc) have cc || die "there is still no C compiler (\`cc\`) on the path" ;;
        qemu) qemu_good || die "QEMU $QEMU_MINIMUM or newer is needed; this system has $(qemu_version | tr ' ' .)" ;;
        esac
    done
}

# The packages for items ($missing, unless named) under $manager.
package_names() {
    for item in ${1:-$missing}; do
        case $manager:$item in
        apt-get:qemu) printf 'qemu-system-arm ' ;;
        apt-get:cc) printf 'gcc libc6-dev ' ;;
        dnf:qemu) printf 'qemu-system-aarch64-core ' ;;
        zypper:qemu) printf 'qemu-arm ' ;;
        pacman:qemu | apk:qemu) printf 'qemu-system-aarch64 ' ;;
        apk:cc) printf 'gcc musl-dev ' ;;
        *:cc) printf 'gcc ' ;;
        esac
    done
}

manager_install() {
    # shellcheck disable=SC2046 # package names are words
    case $manager in
    apt-get) apt_install ;;
    dnf) as_root dnf install -y $(package_names) ;;
    # An image without package lists yet has to fetch them first.
    pacman) as_root pacman -S --needed --noconfirm $(package_names) ||
        as_root pacman -Sy --needed --noconfirm $(package_names) ;;
    zypper) as_root zypper --non-interactive install --no-recommends $(package_names) ;;
    apk) as_root apk add $(package_names) ;;
    esac
}

# Lets as_root work from here on, or says which one command somebody else has to run.
become_root() {
    sudo=
    [ "$(id -u)" != 0 ] || return 0
    # Without a terminal sudo works only where it asks for no password.
    if have sudo && { sudo -n true 2>/dev/null || { [ -t 2 ] && sudo -v; }; }; then
        sudo=sudo
        return
    fi
    note "$(needed) missing, and installing takes root. Run this once, then repeat your command:"
    printf "    su -c \"'%s' packages\"\n" "$root/scripts/setup.sh" >&2
    exit 1
}

as_root() {
    if [ -n "$sudo" ]; then sudo "$@"; else "$@"; fi
}

brew_install() {
    case " $missing " in *" cc "*) die "a C compiler is missing. Run: xcode-select --install" ;; esac
    have brew || unknown_system
    # Homebrew refuses to run as root.
    brew install qemu </dev/null || die "brew could not install qemu"
}

unknown_system() {
    die "$(needed) missing, and this system has no package manager that the set-up knows (apt-get, dnf, pacman," \
        "zypper, apk; brew on macOS). Install it by hand and repeat your command."
}

# The items in $missing as words for a person.
needed() {
    case $missing in
    *qemu*cc*) printf '%s' "QEMU ($QEMU_PROGRAM) $QEMU_MINIMUM or newer and a C compiler (\`cc\`) are" ;;
    *qemu*) printf '%s' "QEMU ($QEMU_PROGRAM) $QEMU_MINIMUM or newer is" ;;
    *) printf '%s' "a C compiler (\`cc\`) is" ;;
    esac
}
