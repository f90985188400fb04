#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The phases in which DevStack installs, configures and starts hybrid_sched, and takes it away again. The work is done in
# lib/hybrid-sched.

# shellcheck source=devstack/lib/hybrid-sched
source "$HYBRID_SCHED_DIR/devstack/lib/hybrid-sched"

if is_service_enabled hybrid-sched-engine hybrid-sched-agent hybrid-sched-api; then
    case "$1/$2" in
        stack/pre-install)
            check_hybrid_sched_order
            ;;
        stack/install)
            echo_summary "Installing hybrid_sched"
            install_hybrid_sched
            ;;
        stack/post-config)
            echo_summary "Configuring hybrid_sched"
            configure_hybrid_sched
            configure_hybrid_sched_nova
            configure_hybrid_sched_zun
            create_hybrid_sched_accounts
            ;;
        stack/extra)
            echo_summary "Starting hybrid_sched"
            init_hybrid_sched
            start_hybrid_sched
            ;;
        stack/test-config)
            echo_summary "Waiting for the agent of this host"
            wait_for_hybrid_sched_agent
            ;;
        unstack/*)
            stop_hybrid_sched
            restore_nova_and_zun
            ;;
        clean/*)
            cleanup_hybrid_sched
            ;;
    esac
fi
