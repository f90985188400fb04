# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC1091,SC2034
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
source "$TOP_DIR/lib/database"
source "$TOP_DIR/lib/rpc_backend"
initialize_database_backends
define_database_baseurl
for _lib in apache tls infra libraries keystone nova; do
    source "$TOP_DIR/lib/$_lib"
done
SYSTEMD_DIR=$SANDBOX/systemd SYSTEMCTL=systemctl
APACHE_CONF_DIR=$SANDBOX/apache
NOVA_CONF_DIR=$SANDBOX/etc/nova
NOVA_CONF=$NOVA_CONF_DIR/nova.conf NOVA_CPU_CONF=$NOVA_CONF_DIR/nova-cpu.conf
SERVICE_HOST=${_service_host:-$SERVICE_HOST}

# Their files, made by their own functions: nova.conf by DevStack, zun.conf by Zun's plugin.
if [[ ! -f "$NOVA_CONF" ]]; then
    mkdir -p "$NOVA_CONF_DIR"
    create_nova_conf
fi
if [[ -n "${ZUN_DIR:-}" && ! -f "$SANDBOX/etc/zun/zun.conf" ]]; then
    mkdir -p "$SANDBOX/etc/zun"
    source "$ZUN_DIR/devstack/lib/zun"
    ZUN_CONF=$SANDBOX/etc/zun/zun.conf
    create_zun_conf
fi
