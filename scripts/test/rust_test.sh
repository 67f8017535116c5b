#!/bin/sh
# setup.sh: the Rust toolchain.
# shellcheck source=scripts/test/harness.sh
. ./harness.sh

begin "a complete machine needs nothing"
complete_machine
run "$scripts/setup.sh"
expect_status 0
expect_not log 'install'
expect out/rust "^$(pinned)\$"
end

begin "the second time no program is asked"
complete_machine
run "$scripts/setup.sh"
: >"$box/log"
run "$scripts/setup.sh"
expect_status 0
expect_not log '.'
end

begin "a target that went missing is installed again, by name"
complete_machine
toolchain "$box/complete"
run "$scripts/setup.sh"
rm -r "$box/toolchains/$(pinned)/lib/rustlib/aarch64-unknown-none-softfloat"
run RUSTUP_AUTO_INSTALL=0 "$scripts/setup.sh"
expect_status 0
expect log "rustup toolchain install $(pinned) --profile minimal"
for part in 'component rustfmt' 'component clippy' 'target aarch64-unknown-none-softfloat' 'target aarch64-unknown-none$'; do
    expect log "--$part"
done
end

begin "another rust-toolchain.toml makes the stamp void"
complete_machine
run "$scripts/setup.sh"
printf '%s\n' 1.0.0 "$box/toolchains/$(pinned)" '1 2' >"$box/out/rust"
run "$scripts/setup.sh"
expect_status 0
expect out/rust "^$(pinned)\$"
end

begin "offline, the same release under the name stable will do"
complete_machine
rm -r "$box/toolchains/$(pinned)"
toolchain "$box/toolchains/stable"
pinned >"$box/toolchains/stable/version"
: >"$box/offline"
run "$scripts/setup.sh"
expect_status 0
expect out/rust '^stable$'
end

begin "offline, another release will not"
complete_machine
rm -r "$box/toolchains/$(pinned)"
toolchain "$box/toolchains/stable"
echo 1.80.0 >"$box/toolchains/stable/version"
: >"$box/offline"
run "$scripts/setup.sh"
expect_status 1
expect output "could not install Rust $(pinned)"
end

begin "without rustup it says what to install"
complete_machine
rm "$box/bin/rustup"
run "$scripts/setup.sh"
expect_status 1
expect output 'Install rustup 1.24 or newer'
end

begin "rustup outside the path is found where it installs itself"
complete_machine
mkdir -p "$box/home/.cargo/bin"
mv "$box/bin/rustup" "$box/home/.cargo/bin/"
run "$scripts/setup.sh"
expect_status 0
end

begin "setup.sh rust does without QEMU"
complete_machine
rm "$box/bin/qemu-system-aarch64"
run "$scripts/setup.sh" rust
expect_status 0
end
