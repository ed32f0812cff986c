# shellcheck shell=bash disable=SC2034
# Sourced by jobs/*.sh and tests/*.sh: what every script needs of the machine and
# of the environment. Callers have `set -euo pipefail`.

# To build, to run, and to read the results.
df_build_packages=(
    cmake ninja-build pkg-config gcc libc6-dev
    libopenmpi-dev openmpi-bin libyaml-dev libgsl-dev libhdf5-dev libjansson-dev libxxhash-dev
    libcurl4-openssl-dev ca-certificates openssl graphviz
    libcmocka-dev hdf5-tools python3-h5py python3-pandas python3-matplotlib
)
# To check the sources.
df_check_packages=(slurm-wlm munge clang-tidy clang-format cppcheck shellcheck)

# To look at the page of `deepflow report` as users do.
df_page_packages=(chromium)

# Debian's own Python has Debian's h5py and pandas; another may come first on the PATH.
df_python=/usr/bin/python3

# mpirun refuses to run as root without the first two. More ranks than cores are
# fine, but ranks that share a core should not spin while they wait.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1

# df_cores: how many cores this process may use: its affinity, and the quota of its
# control group, which nproc does not know.
df_cores() {
    local cores quota period
    cores=$(nproc)
    if [ -r /sys/fs/cgroup/cpu.max ] && read -r quota period </sys/fs/cgroup/cpu.max &&
        [ "$quota" != max ] && [ $((quota / period)) -lt "$cores" ]; then
        cores=$((quota / period))
    fi
    echo $((cores > 0 ? cores : 1))
}
df_jobs=$(df_cores)

# df_root COMMAND...: runs it as root.
df_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# df_install PACKAGE...: installs the Debian packages that are missing. Does nothing,
# and needs no rights, when none is.
df_install() {
    local package missing=()
    for package in "$@"; do
        if ! dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
            missing+=("$package")
        fi
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "These Debian packages are missing, and installing them takes root or sudo:" \
            "${missing[*]}" >&2
        return 1
    fi
    echo "Installing: ${missing[*]}"
    df_root apt-get update -q
    df_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# df_page run|all: installs what the page of `deepflow report` is made of, from npm; `all`: and
# tested with. Everything but report builds and works without it.
df_page() {
    local page=search/report/page wanted=echarts omit=--omit=dev
    if [ "$1" = all ]; then
        wanted=playwright-core
        omit=--include=dev
    fi
    if [ "$page/node_modules/$wanted/package.json" -nt "$page/package-lock.json" ]; then
        return 0
    fi
    if ! command -v npm >/dev/null; then
        df_install nodejs npm
    fi
    echo "Installing: the packages of $page"
    (cd "$page" && npm ci "$omit" --ignore-scripts --no-audit --no-fund --loglevel=error) &&
        find "$page/node_modules" -maxdepth 2 -name package.json -exec touch {} +
}

# df_build PRESET [TARGET]: configures and builds it.
df_build() {
    cmake --preset "$1" >/dev/null &&
        cmake --build --preset "$1" --parallel "$df_jobs" --target "${2:-all}"
}
