# shellcheck shell=sh
# The Rust toolchain that rust-toolchain.toml pins, with its components and targets.
#
# We install it by name instead of leaving it to rustup, because RUSTUP_AUTO_INSTALL=0 switches that off. The stamp
# $out/rust holds the toolchain's name, its directory, and the checksum of rust-toolchain.toml; while these are still
# true, no rustup runs.
# shellcheck disable=SC2154 # root and out come from setup.sh

# The string or the list of strings behind a key of rust-toolchain.toml, as words.
toolchain_key() {
    sed -n "s/^$1 *= *//p" "$root/rust-toolchain.toml" | tr -d '",[]'
}

# Whether the toolchain in directory $1 has everything that rust-toolchain.toml asks for.
rust_complete() {
    [ -x "$1/bin/rustc" ] && [ -x "$1/bin/cargo-fmt" ] && [ -x "$1/bin/cargo-clippy" ] || return 1
    for target in $(toolchain_key targets); do
        [ -d "$1/lib/rustlib/$target/lib" ] || return 1
    done
}

# The directory of toolchain $1; empty if it is not installed. (Auto-install off: we ask, we do not want it fetched.)
rust_sysroot() {
    RUSTUP_AUTO_INSTALL=0 rustup run "$1" rustc --print sysroot 2>/dev/null || true
}

rust_setup() {
    checksum=$(cksum <"$root/rust-toolchain.toml")
    if [ -f "$out/rust" ]; then
        { read -r _ && read -r sysroot && read -r stamped; } <"$out/rust" || stamped=
        if [ "$stamped" = "$checksum" ] && rust_complete "$sysroot"; then return; fi
    fi
    channel=$(toolchain_key channel)
    toolchain=$channel
    if ! command -v rustup >/dev/null; then
        rust_without_rustup
    else
        rust_by_rustup
    fi
    printf '%s\n' "$toolchain" "$sysroot" "$checksum" >"$out/rust"
}

# Sets toolchain and sysroot, or ends the script.
rust_by_rustup() {
    sysroot=$(rust_sysroot "$channel")
    if rust_complete "$sysroot"; then return; fi
    note "installing Rust $channel with $(toolchain_key components), for $(toolchain_key targets)"
    set -- "$channel" --profile minimal --no-self-update
    for component in $(toolchain_key components); do set -- "$@" --component "$component"; done
    for target in $(toolchain_key targets); do set -- "$@" --target "$target"; done
    if rustup toolchain install "$@"; then
        sysroot=$(rust_sysroot "$channel")
        if rust_complete "$sysroot"; then return; fi
    fi
    # No way to fetch it, but `stable` may be that very release under another name.
    case $(RUSTUP_AUTO_INSTALL=0 rustup run stable rustc --version 2>/dev/null) in
    "rustc $channel "*)
        toolchain=stable
        sysroot=$(rust_sysroot stable)
        if rust_complete "$sysroot"; then return; fi
        ;;
    esac
    die "rustup could not install Rust $channel (see above). It needs rustup 1.24 or newer and a way to its server."
}

# Rust from somewhere else (a distribution, Nix) will do when it is this release, with the same parts.
rust_without_rustup() {
    case $(rustc --version 2>/dev/null) in
    "rustc $channel "*)
        toolchain=
        sysroot=$(rustc --print sysroot)
        if rust_complete "$sysroot"; then return; fi
        ;;
    esac
    die "rustup is missing. Install rustup 1.24 or newer from https://rustup.rs or as a package; the set-up then" \
        "fetches Rust $channel with it."
}
