# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC1090,SC1091,SC2034
# DevStack's own functions from the checkout in DEVSTACK_DIR, as stack.sh reads them, with all folders inside the sandbox.

TOP_DIR=$DEVSTACK_DIR RC_DIR=$DEVSTACK_DIR FILES=$DEVSTACK_DIR/files
_services=$ENABLED_SERVICES _plugins=${DEVSTACK_PLUGINS:-}
GLOBAL_VENV=True DEVSTACK_VENV=$SANDBOX
REQUIREMENTS_DIR=$SANDBOX/requirements
USE_JOURNAL=False
DATABASE_TYPE=mysql MYSQL_HOST=10.0.0.11
APACHE_CONF_DIR=$SANDBOX/apache
os_PACKAGE=deb os_VENDOR=Debian os_RELEASE=12 os_CODENAME=bookworm DISTRO=bookworm

source "$TOP_DIR/functions"
source "$TOP_DIR/stackrc"
ENABLED_SERVICES=$_services DEVSTACK_PLUGINS=$_plugins
# Of root's, stackrc makes an account 'stack', which is not on every machine.
STACK_USER=$(id -un)
DEST=$SANDBOX/opt DATA_DIR=$SANDBOX/opt/data
source "$TOP_DIR/lib/database"
source "$TOP_DIR/lib/rpc_backend"
initialize_database_backends
define_database_baseurl
for _lib in apache tls infra libraries keystone nova; do
    source "$TOP_DIR/lib/$_lib"
done
SYSTEMD_DIR=$SANDBOX/systemd SYSTEMCTL=systemctl

# All that they would put below /etc is put into the sandbox.
function _move_files {
    local name
    for name in $(compgen -v "$1"); do
        if [[ "${!name}" == /etc/* ]]; then
            printf -v "$name" '%s' "$SANDBOX${!name}"
        fi
    done
}
_move_files NOVA_
_move_files APACHE_

# Their files, made by their own functions: nova.conf by DevStack, zun.conf by Zun's plugin.
function make_their_files {
    if [[ ! -f "$NOVA_CONF" ]]; then
        mkdir -p "$NOVA_CONF_DIR"
        create_nova_conf >/dev/null
    fi
    if [[ -n "${ZUN_DIR:-}" ]]; then
        source "$ZUN_DIR/devstack/lib/zun"
        _move_files ZUN_
        if [[ ! -f "$ZUN_CONF" ]]; then
            mkdir -p "$ZUN_CONF_DIR"
            create_zun_conf
        fi
    fi
}
