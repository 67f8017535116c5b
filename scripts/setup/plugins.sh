# shellcheck shell=sh
# A QEMU that can load plugins which see registers and stored values: 9.2 or newer, built with plugins. Debian 13 and
# Debian 12's backports have one, so do Fedora 42 and Homebrew.
# shellcheck disable=SC2034,SC2154 # for packages.sh; out comes from common.sh

plugins_setup() {
    QEMU_MINIMUM=9.2
    qemu_stamp=$out/qemu-plugins
    packages_setup
    # A build without plugins does not know the option.
    qemu-system-aarch64 -help | grep -q '^-plugin' ||
        die "this QEMU ($(command -v qemu-system-aarch64)) was built without plugins (configure --enable-plugins)"
}
