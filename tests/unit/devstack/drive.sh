#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables that DevStack reads
# Run phases of the plugin in a sandbox, in one shell as stack.sh does: drive.sh PHASE... with each PHASE as 'MODE PHASE'.
#
# In the environment: SANDBOX, a folder for everything; ENABLED_SERVICES and DEVSTACK_PLUGINS; DEVSTACK_DIR, a checkout, to use
# DevStack's own functions, else those of standin.sh. The sandbox's bin folder comes first in PATH: there, 'sudo' runs what it is
# given, and what would change the machine, 'systemctl', 'openstack', 'mysql', 'pip' and the like, is only written down.
set -o errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$SANDBOX/bin:$PATH

DEST=$SANDBOX/opt
DATA_DIR=$DEST/data
STACK_USER=$(id -un)
HOST_IP=10.0.0.11 SERVICE_HOST=${SERVICE_HOST:-10.0.0.11} HOST_IPV6=
SERVICE_PROTOCOL=http REGION_NAME=RegionOne KEYSTONE_SERVICE_URI=http://10.0.0.11/identity
SERVICE_PASSWORD=service-secret RABBIT_PASSWORD=rabbit-secret DATABASE_PASSWORD=database-secret
RABBIT_HOST=10.0.0.11 RABBIT_USERID=stackrabbit
ENABLE_DEBUG_LOG_LEVEL=True
NOVA_CONF=$SANDBOX/etc/nova/nova.conf NOVA_CPU_CONF=$SANDBOX/etc/nova/nova-cpu.conf
ZUN_CONF=$SANDBOX/etc/zun/zun.conf
HYBRID_SCHED_DIR=$SANDBOX/plugin
HYBRID_SCHED_CONF_DIR=$SANDBOX/etc/hybrid-sched
SYSTEMD_DIR=$SANDBOX/systemd
SYSTEMCTL=systemctl

if [[ -n "${DEVSTACK_DIR:-}" ]]; then
    # shellcheck source=/dev/null
    source "$here/devstack_functions.sh"
else
    # shellcheck source=tests/unit/devstack/standin.sh
    source "$here/standin.sh"
fi
mkdir -p "$DATA_DIR" "$SYSTEMD_DIR"

# shellcheck source=devstack/override-defaults
source "$HYBRID_SCHED_DIR/devstack/override-defaults"
# shellcheck source=devstack/settings
source "$HYBRID_SCHED_DIR/devstack/settings"
make_their_files

for phase in "$@"; do
    # Two words, or one.
    # shellcheck source=devstack/plugin.sh disable=SC2086
    source "$HYBRID_SCHED_DIR/devstack/plugin.sh" $phase
done
echo "ZUN_CAPSULE_DRIVER=$ZUN_CAPSULE_DRIVER"
echo "ENABLED_SERVICES=$ENABLED_SERVICES"
