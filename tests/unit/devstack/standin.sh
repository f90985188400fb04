# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the plugin uses of DevStack, as small as it can be, for where there is no checkout of DevStack. The tests run with
# DevStack's own functions too, where DEVSTACK_DIR names a checkout, so that a difference between the two is seen.

function _section_edit {
    # _section_edit FILE SECTION AWK: run AWK, which may print, on each line with 'inside' telling whether it is in SECTION.
    local edited
    edited=$(mktemp)
    awk -v header="[$2]" "/^\\[/ { inside = (\$0 == header) } $3" "$1" >"$edited"
    cat "$edited" >"$1"
    rm -f "$edited"
}

function iniget_multiline {
    # shellcheck disable=SC2005,SC2046 # words are joined by one blank, as DevStack does
    echo $(sed -ne "/^\[$2\]/,/^\[.*\]/ { s/^$3[ \t]*=[ \t]*//p; }" "$1")
}

function iniget { iniget_multiline "$@"; }

function ini_has_option {
    [[ -n "$(sed -ne "/^\[$2\]/,/^\[.*\]/ { /^$3[ \t]*=/ p; }" "$1")" ]]
}

function inidelete { _section_edit "$1" "$2" "!(inside && /^$3[ \\t]*=/)"; }

function iniadd_literal {
    local line="$3 = $4"
    _section_edit "$1" "$2" "{ print } \$0 == header { print \"${line//\"/\\\"}\" }"
}

function iniset {
    touch "$1"
    grep -q "^\[$2\]" "$1" || printf '\n[%s]\n' "$2" >>"$1"
    if ini_has_option "$1" "$2" "$3"; then
        local line="$3 = $4"
        _section_edit "$1" "$2" "inside && /^$3[ \\t]*=/ { print \"${line//\"/\\\"}\"; next } { print }"
    else
        iniadd_literal "$1" "$2" "$3" "$4"
    fi
}

function make_their_files { :; }
function define_plugin { :; }
function plugin_requires { :; }
function die { echo "[ERROR] ${*:2}" >&2; exit 1; }
function echo_summary { echo "$@"; }
function get_python_exec_prefix { echo "$SANDBOX/bin"; }
function setup_logging { :; }
function time_start { :; }
function time_stop { :; }

function is_service_enabled {
    local service
    for service in "$@"; do
        if [[ ",$ENABLED_SERVICES," == *",$service,"* ]]; then
            return 0
        fi
    done
    return 1
}

function enable_service { ENABLED_SERVICES+=",$1"; }
function setup_develop { pip install -e "$1"; }
function iniset_rpc_backend { iniset "$2" DEFAULT transport_url "rabbit://stackrabbit:$RABBIT_PASSWORD@$RABBIT_HOST:5672/"; }
function database_connection_url { echo "mysql+pymysql://root:$DATABASE_PASSWORD@127.0.0.1/$1?charset=utf8"; }
function recreate_database { mysql -e "CREATE DATABASE $1"; }

function configure_keystoneauth {
    iniset "$1" "$3" auth_type password
    iniset "$1" "$3" auth_url "$KEYSTONE_SERVICE_URI"
    iniset "$1" "$3" username "$2"
    iniset "$1" "$3" password "$SERVICE_PASSWORD"
    iniset "$1" "$3" user_domain_name Default
    iniset "$1" "$3" project_name service
    iniset "$1" "$3" project_domain_name Default
}

function configure_keystone_authtoken_middleware { configure_keystoneauth "$1" "$2" keystone_authtoken; }
function create_service_user { openstack user create "$1" --password "$SERVICE_PASSWORD" && openstack role add "$2"; }
function get_or_create_service { openstack service create "$2" --name "$1" --description "$3"; }
function get_or_create_endpoint { openstack endpoint create "$1" --region "$2" "$3"; }
function write_uwsgi_config { iniset "$1" uwsgi module "$2"; }
function remove_uwsgi_config { rm -f "$1"; }

function run_process {
    if is_service_enabled "$1"; then
        iniset "$SYSTEMD_DIR/devstack@$1.service" Service ExecStart "$2"
        iniset "$SYSTEMD_DIR/devstack@$1.service" Service User "${4:-$STACK_USER}"
        systemctl start "devstack@$1.service"
    fi
}

function stop_process {
    if is_service_enabled "$1"; then
        systemctl stop "devstack@$1.service"
    fi
}

function test_with_retry { sh -c "$1" || die 0 "$2"; }
