#!/usr/bin/env bash
# What a host should offer a FluxionDB server, and whether this one does. Changes nothing unless told to.
#
#   scripts/tune-host.sh                          shows each setting, what it should be, and why
#   scripts/tune-host.sh --cpus 2-7               for a server that runs on these CPUs [default: all online ones]
#   sudo scripts/tune-host.sh --cpus 2-7 --apply  sets what can be set while the system runs
#   scripts/tune-host.sh --interface eth0         looks at the interrupts of that network card only
#
# What is applied lasts until the next start of the system. Needs no root to look; what it can't read it says.
set -euo pipefail

apply=no cpus="" interface=""
marks_ok=0 marks_bad=0 marks_unknown=0

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; }

while [ "$#" -gt 0 ]; do
    case $1 in
        --apply) apply=yes ;;
        --cpus) cpus=${2:?--cpus needs a list such as 2-7}; shift ;;
        --interface) interface=${2:?--interface needs a name such as eth0}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
[[ "$cpus" =~ ^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$ ]] || { echo "'$cpus' is not a list of CPUs such as 2-7" >&2; exit 2; }
if [ "$apply" = yes ] && [ "$(id -u)" != 0 ]; then
    echo "--apply needs root" >&2
    exit 1
fi

# The first line of a file, or nothing where it can't be read.
value_of() { { head -n 1 "$1"; } 2>/dev/null || true; }

expand() {
    local part
    for part in ${1//,/ }; do seq "${part%-*}" "${part#*-}"; done
}

heading() { printf '\n%s\n' "$1"; }
why() { printf '      %s\n' "$@"; }
ok() { marks_ok=$((marks_ok + 1)); printf '  ok  %s\n' "$1"; }
bad() { marks_bad=$((marks_bad + 1)); printf '  !!  %s\n' "$1"; }
unknown() { marks_unknown=$((marks_unknown + 1)); printf '  ??  %s\n' "$1"; }
advice() { printf '      to do: %s\n' "$1"; }

# set_value FILE VALUE: writes it when told to; otherwise shows how.
set_value() {
    if [ "$apply" = no ]; then
        advice "echo $2 > $1"
    elif echo "$2" 2>/dev/null >"$1"; then
        printf '      done: %s is now %s\n' "$1" "$2"
    else
        printf '      refused: %s could not be set to %s\n' "$1" "$2"
    fi
}

online=$(value_of /sys/devices/system/cpu/online)
online=${online:-0-$(($(nproc --all) - 1))}
cpus=${cpus:-$online}
mapfile -t server_cpus < <(expand "$cpus")
mapfile -t online_cpus < <(expand "$online")

is_server_cpu() {
    local cpu
    for cpu in "${server_cpus[@]}"; do [ "$cpu" != "$1" ] || return 0; done
    return 1
}

check_io_uring() {
    heading "io_uring"
    why "The server does all its input and output with it, and does not start without."
    local file=/proc/sys/kernel/io_uring_disabled now
    now=$(value_of "$file")
    case $now in
        0) ok "kernel.io_uring_disabled is 0" ;;
        "") ok "kernel $(uname -r) has no kernel.io_uring_disabled, so it does not forbid it (it needs 5.8 or later)" ;;
        *)
            bad "kernel.io_uring_disabled is $now; it must be 0, or 1 for members of kernel.io_uring_group"
            set_value "$file" 0
            advice "keep it: echo kernel.io_uring_disabled=0 > /etc/sysctl.d/60-fluxiondb.conf"
            ;;
    esac
}

check_governors() {
    heading "Clock rate (cpufreq governor)"
    why "A CPU that lowers its clock between bursts answers the first requests of each burst slowly."
    local cpu file now seen=no
    for cpu in "${server_cpus[@]}"; do
        file=/sys/devices/system/cpu/cpu$cpu/cpufreq/scaling_governor
        now=$(value_of "$file")
        [ -n "$now" ] || continue
        seen=yes
        if [ "$now" = performance ]; then
            ok "CPU $cpu: performance"
        else
            bad "CPU $cpu: $now; performance is wanted"
            set_value "$file" performance
        fi
    done
    [ "$seen" = yes ] || unknown "no CPU shows a governor: usual in virtual machines, where the host decides"
}

check_siblings() {
    heading "Hyper-threads (SMT siblings)"
    why "Two cores of the server on the threads of one physical core share its caches and units: throughput" \
        "grows little and tails grow much. Run one core of the server per physical core."
    local cpu siblings sibling shared=()
    for cpu in "${server_cpus[@]}"; do
        siblings=$(value_of "/sys/devices/system/cpu/cpu$cpu/topology/thread_siblings_list")
        [ -n "$siblings" ] || { unknown "CPU $cpu does not tell its siblings"; return; }
        for sibling in $(expand "$siblings"); do
            if [ "$sibling" -gt "$cpu" ] && is_server_cpu "$sibling"; then shared+=("$cpu+$sibling"); fi
        done
    done
    if [ "${#shared[@]}" = 0 ]; then
        ok "no two of the CPUs $cpus share a physical core, as far as the system tells"
    else
        bad "these share a physical core: ${shared[*]}"
        advice "leave the second of each out of --cores; let it idle, or do the rest of the system's work"
    fi
}

check_isolation() {
    heading "Isolated CPUs (kernel command line)"
    why "The scheduler puts other tasks on any CPU; each takes a time slice of milliseconds from a core of the server." \
        "Isolated CPUs run only what is pinned to them, as the server's cores are."
    local isolated cpu outside=()
    isolated=$(value_of /sys/devices/system/cpu/isolated)
    local isolated_cpus=" "
    [ -z "$isolated" ] || isolated_cpus=" $(expand "$isolated" | tr '\n' ' ')"
    for cpu in "${server_cpus[@]}"; do [[ "$isolated_cpus" == *" $cpu "* ]] || outside+=("$cpu"); done
    if [ "${#outside[@]}" = 0 ]; then
        ok "all of $cpus are isolated"
    elif [ "${#server_cpus[@]}" = "${#online_cpus[@]}" ]; then
        unknown "the server is to have all CPUs; leave one or two for the rest of the system and name the others with --cpus"
    else
        bad "not isolated: ${outside[*]}"
        advice "add to the kernel command line, and start again:"
        why "  isolcpus=$cpus nohz_full=$cpus rcu_nocbs=$cpus irqaffinity=$(others)"
        why "This script does not change it. Without isolcpus, a cpuset or CPUAffinity= for all other services helps too."
    fi
}

# The online CPUs that are not the server's, or all if there is none.
others() {
    local cpu list=()
    for cpu in "${online_cpus[@]}"; do is_server_cpu "$cpu" || list+=("$cpu"); done
    [ "${#list[@]}" -gt 0 ] || list=("${online_cpus[@]}")
    (IFS=,; echo "${list[*]}")
}

check_interrupts() {
    heading "Interrupts of the network (IRQ affinity)"
    why "The interrupt of a queue and what the kernel does with its packets take time from the CPU that they run on." \
        "With CPUs to spare keep them off the server's; without, spread the queues over all of them, one each."
    local pattern=${interface:-'eth|enp|ens|eno|virtio.*(input|output)|mlx|ixgbe|i40e|ice-|ena|gve|bnxt'} number name list where on_server found=no
    if [ ! -r /proc/interrupts ]; then
        unknown "/proc/interrupts can't be read"
        return
    fi
    if pgrep -x irqbalance >/dev/null 2>&1; then
        bad "irqbalance runs, and moves interrupts as it likes"
        advice "stop it, or set IRQBALANCE_BANNED_CPULIST=$cpus"
    fi
    while read -r number name; do
        list=$(value_of "/proc/irq/$number/smp_affinity_list")
        [ -n "$list" ] || continue
        found=yes on_server=no
        for where in $(expand "$list"); do if is_server_cpu "$where"; then on_server=yes; fi; done
        if [ "$on_server" = no ]; then
            ok "interrupt $number ($name): CPUs $list"
        elif [ "$(others)" = "$(IFS=,; echo "${online_cpus[*]}")" ]; then
            unknown "interrupt $number ($name): CPUs $list; the server has all CPUs, so it has to be on one of its"
        else
            bad "interrupt $number ($name): CPUs $list, of which the server has some"
            set_value "/proc/irq/$number/smp_affinity_list" "$(others)"
        fi
    done < <(awk -v pattern="$pattern" '$1 ~ /^[0-9]+:$/ && $NF ~ pattern { sub(":", "", $1); print $1, $NF }' /proc/interrupts)
    [ "$found" = yes ] || unknown "no interrupts of a network card were found; name it with --interface"
}

check_limit() {
    local flag=$1 name=$2 wanted=$3 unit=$4 hard
    hard=$(ulimit -H "$flag")
    if [ "$hard" = unlimited ] || [ "$hard" -ge "$wanted" ]; then
        ok "$name of this shell: $hard"
    else
        bad "$name of this shell: $hard; $wanted $unit or more are wanted"
        advice "in the service's unit file, or in /etc/security/limits.d/ for logins (a limit can't be set for other processes)"
    fi
}

check_limits() {
    heading "Lockable memory (memlock)"
    why "io_uring locks up to 240 KiB of memory a core, and the runtime wants 512 KiB to be allowed in any case. In a" \
        "unit file: LimitMEMLOCK=infinity"
    local wanted=$((240 * $(nproc) + 16))
    check_limit -l memlock $((wanted > 512 ? wanted : 512)) KiB
    heading "File descriptors (nofile)"
    why "Each connection is one. The server raises its soft limit to the hard one. In a unit file: LimitNOFILE=65536"
    check_limit -n nofile 65536 descriptors
}

check_connections() {
    heading "Waiting connections"
    why "When many clients connect at once, what exceeds the queue of the listening socket has to try again a second later."
    local file now
    for file in /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/tcp_max_syn_backlog; do
        now=$(value_of "$file")
        if [ -z "$now" ]; then
            unknown "$file can't be read"
        elif [ "$now" -ge 1024 ]; then
            ok "${file#/proc/sys/}: $now"
        else
            bad "${file#/proc/sys/}: $now; 1024 or more is wanted"
            set_value "$file" 4096
        fi
    done
}

check_huge_pages() {
    heading "Transparent huge pages"
    why "With 'always' the kernel builds huge pages behind the server's back, which stalls it now and then and makes" \
        "small heaps large. 'madvise' leaves it to those that ask."
    local file=/sys/kernel/mm/transparent_hugepage/enabled now
    now=$(value_of "$file" | sed -n 's/.*\[\(.*\)\].*/\1/p')
    case $now in
        madvise | never) ok "transparent_hugepage: $now" ;;
        "") unknown "the kernel shows no transparent_hugepage" ;;
        *)
            bad "transparent_hugepage: $now; madvise is wanted"
            set_value "$file" madvise
            ;;
    esac
}

check_swap() {
    heading "Swap"
    why "Data lives in memory; a part of it that was swapped out makes its core wait for a disk."
    local used
    used=$(awk '/^SwapTotal/ { print $2 }' /proc/meminfo 2>/dev/null || true)
    if [ -z "$used" ]; then
        unknown "/proc/meminfo does not tell"
    elif [ "$used" = 0 ]; then
        ok "there is none"
    else
        bad "there are $((used / 1024)) MiB of swap"
        advice "swapoff -a, or MemorySwapMax=0 in the service's unit file"
    fi
}

printf 'For a server on the CPUs %s of %s, kernel %s\n' "$cpus" "$online" "$(uname -r)"
check_io_uring
check_governors
check_siblings
check_isolation
check_interrupts
check_limits
check_connections
check_huge_pages
check_swap
printf '\n%d as wanted, %d not, %d not known' "$marks_ok" "$marks_bad" "$marks_unknown"
if [ "$apply" = no ] && [ "$marks_bad" -gt 0 ]; then printf '; nothing was changed'; fi
printf '\n'
