#!/bin/bash
# guest-image.sh OUT.qcow2 [CACHEDIR]
#
# Builds the image `guest`: a Linux of some 25 MiB made of Debian packages only, which boots by BIOS from a virtio disk, takes its address by DHCP,
# its name and ssh keys from the metadata service (else from a config drive), and has a login prompt on the serial console. Nothing is mounted, and no
# package is installed on the host: what is needed is unpacked into the cache folder, programs that lay out the disk included.
#
# disk: MBR | FAT with syslinux, kernel, initramfs | ext4, label rootfs
set -euo pipefail
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000
umask 022

OUT=$(realpath -m "${1:?usage: guest-image.sh OUT.qcow2 [CACHEDIR]}")
CACHE=$(realpath -m "${2:-${XDG_CACHE_HOME:-$HOME/.cache}/skyhook-guest}")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$CACHE/debs" "$(dirname "$OUT")"
die() { echo "guest-image: $*" >&2; exit 1; }
for tool in dpkg apt-get apt-cache qemu-img mke2fs awk; do command -v "$tool" > /dev/null || die "$tool is missing"; done

# ---------------------------------------------------------------- packages

# The first dependency of the kernel's meta package is the kernel itself.
META=linux-image-cloud-amd64
apt-cache show "$META" > /dev/null 2>&1 || META=linux-image-virtual
KERNEL=$(apt-cache depends "$META" 2> /dev/null | awk '/Depends: linux-image/ {print $2; exit}') || true
if [ -z "$KERNEL" ]; then KERNEL=$(cat "$CACHE/kernel" 2> /dev/null) || die "no kernel package is known: run apt-get update"; fi
echo "$KERNEL" > "$CACHE/kernel"
LIBS=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances dropbear-bin qemu-guest-agent 2> /dev/null | grep -E '^lib' | grep -vE 'perl|^libdb|^libgdbm' | sort -u) || true
MODULES_PACKAGE=$(apt-cache depends "$KERNEL" 2> /dev/null | awk '/Depends: linux-modules-/ {print $2; exit}') || true
PACKAGES="$KERNEL $MODULES_PACKAGE busybox-static dropbear-bin qemu-guest-agent $LIBS syslinux syslinux-common mtools dosfstools"
cd "$CACHE/debs"
missing=()
for package in $PACKAGES; do compgen -G "${package}_*.deb" > /dev/null || missing+=("$package"); done
if [ "${#missing[@]}" -gt 0 ]; then
  # apt's own sandbox user cannot write into a private folder; it then only says so.
  apt-get -qq download "${missing[@]}" 2> "$WORK/apt.log" || { cat "$WORK/apt.log" >&2; die "could not download ${missing[*]}"; }
fi
X=$WORK/unpacked
mkdir "$X"
for package in $PACKAGES; do
  debs=("$package"_*.deb)
  dpkg -x "${debs[-1]}" "$X"
done
cd "$WORK"
export PATH="$X/usr/bin:$X/usr/sbin:$X/sbin:$X/bin:$PATH"
BUSYBOX=$X/bin/busybox
[ -x "$BUSYBOX" ] || BUSYBOX=$X/usr/bin/busybox
LIBDIRS=$X/lib/x86_64-linux-gnu:$X/usr/lib/x86_64-linux-gnu
KV=$(basename "$X"/boot/vmlinuz-* | sed 's/^vmlinuz-//')
[ -d "$X/lib/modules/$KV" ] || { mkdir -p "$X/lib/modules"; cp -r "$X/usr/lib/modules/$KV" "$X/lib/modules/"; }
"$BUSYBOX" depmod -b "$X" "$KV" 2> /dev/null || depmod -b "$X" "$KV"

# Paths of modules with all they need, dependencies first. What is built in, or not in this kernel, is passed over.
closure() {
  awk -v wanted="$*" '
    { sub(/:/, " "); name = $1; sub(/.*\//, "", name); sub(/\.ko.*/, "", name); gsub(/-/, "_", name); path[name] = $1; needs[$1] = ""; for (i = NF; i >= 2; i--) needs[$1] = needs[$1] " " $i }
    function add(file,   parts, count, i) { if (file in done) return; done[file] = 1; count = split(needs[file], parts, " "); for (i = 1; i <= count; i++) add(parts[i]); print file }
    END { count = split(wanted, list, " "); for (i = 1; i <= count; i++) { name = list[i]; gsub(/-/, "_", name); if (name in path) add(path[name]) } }' "$X/lib/modules/$KV/modules.dep"
}

# ---------------------------------------------------------------- root file system

R=$WORK/root
mkdir -p "$R"/{bin,sbin,usr/bin,usr/sbin,lib64,lib/x86_64-linux-gnu,etc/acpi/PWRF,etc/dropbear,proc,sys,dev,tmp,run,mnt,var/lib,var/log,root/.ssh,home/guest/.ssh,usr/share/udhcpc}
mkdir -p "$R/lib/modules/$KV"
cp "$BUSYBOX" "$R/bin/busybox"
for applet in $("$BUSYBOX" --list); do [ "$applet" = busybox ] || ln -sf busybox "$R/bin/$applet"; done
ln -sf ../bin/busybox "$R/sbin/init"
ln -sf /run "$R/var/run"
chmod 1777 "$R/tmp"

place() { # programs with the libraries they load
  local file lib
  for file in "$@"; do
    install -m 755 "$file" "$R/usr/sbin/"
    "$X/lib64/ld-linux-x86-64.so.2" --library-path "$LIBDIRS" --list "$file" | awk '/=> \// {print $3}' >> "$WORK/libs"
  done
}
[ -e "$X/lib64/ld-linux-x86-64.so.2" ] || { mkdir -p "$X/lib64"; cp -L "$X/usr/lib64/ld-linux-x86-64.so.2" "$X/lib64/"; }
place "$X/usr/sbin/dropbear" "$X/usr/bin/dropbearkey" "$X/usr/sbin/qemu-ga"
cp -L "$X/lib64/ld-linux-x86-64.so.2" "$R/lib64/"
sort -u "$WORK/libs" | while read -r lib; do cp -L "$lib" "$R/lib/x86_64-linux-gnu/"; done

for module in $(closure virtio_pci virtio_blk virtio_net virtio_scsi virtio_balloon virtio_console virtio_rng sd_mod sr_mod isofs vfat nls_ascii nls_iso8859_1 nls_cp437 xfs af_packet pciehp button evdev 8021q e1000); do
  install -D -m 644 "$X/lib/modules/$KV/$module" "$R/lib/modules/$KV/$module"
done
cp "$X/lib/modules/$KV"/modules.{builtin,order} "$R/lib/modules/$KV/" 2> /dev/null || true
"$BUSYBOX" depmod -b "$R" "$KV" 2> /dev/null || depmod -b "$R" "$KV"

printf 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:guest:/home/guest:/bin/sh\n' > "$R/etc/passwd"
printf 'root:x:0:\nguest:x:1000:\n' > "$R/etc/group"
# The password of `guest` (skyhook) is for the console alone: ssh takes keys only. root has none and no terminal to log in on; sudo comes in by su.
SECRET=$(printf 'skyhook\n' | "$BUSYBOX" mkpasswd -m sha512 -S skyhookguest -P 0)
printf 'root::19000:0:99999:7:::\nguest:%s:19000:0:99999:7:::\n' "$SECRET" > "$R/etc/shadow"
chmod 600 "$R/etc/shadow"
: > "$R/etc/securetty"
echo /bin/sh > "$R/etc/shells"
echo guest > "$R/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$R/etc/hosts"
printf 'Skyhook guest \\r\n' > "$R/etc/issue"
cat > "$R/etc/inittab" << 'E'
::sysinit:/etc/rcS
ttyS0::respawn:/bin/getty -L ttyS0 115200 vt100
tty1::respawn:/bin/getty 38400 tty1
::ctrlaltdel:/bin/reboot
::shutdown:/bin/sync
::shutdown:/bin/umount -a -r
E

cat > "$R/etc/rcS" << 'E'
#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/disk/by-id
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -o remount,rw /
chmod 666 /dev/null /dev/zero /dev/random /dev/urandom /dev/tty /dev/ptmx
# An image built without root has its builder's user on all files.
[ -u /bin/busybox ] || { chown -R 0:0 /bin /sbin /usr /etc /lib /root /var; chmod 4755 /bin/busybox; chown -R 1000:1000 /home/guest; }
say() { echo "guest: $*" > /dev/console; }
say "userspace at $(cut -d' ' -f1 /proc/uptime) s"
uevent /etc/hotplug > /var/log/hotplug 2>&1 &
for module in virtio_net virtio_console virtio_balloon virtio_rng pciehp sr_mod button evdev; do modprobe -q $module; done
for disk in /sys/class/block/*; do ACTION=add SUBSYSTEM=block DEVNAME=${disk##*/} /etc/hotplug; done
acpid
ip link set lo up
hostname "$(cat /etc/hostname)"
for nic in /sys/class/net/eth*; do [ -e $nic ] && /etc/nic-up ${nic##*/}; done
ip -o -4 addr show scope global | awk '{print "guest: address", $2, $4}' > /dev/console
/etc/metadata
dropbear -R -s -p 22
for port in /sys/class/virtio-ports/*; do
  [ "$(cat $port/name 2> /dev/null)" = org.qemu.guest_agent.0 ] && setsid qemu-ga -m virtio-serial -p /dev/${port##*/} -t /run -f /run/qga.pid > /var/log/qga 2>&1 < /dev/null &
done
if [ -f /var/lib/user-data ] && [ "$(head -c2 /var/lib/user-data)" = '#!' ] && [ "$(cat /var/lib/user-data-ran 2> /dev/null)" != "$(cat /var/lib/instance-id)" ]; then
  cp /var/lib/instance-id /var/lib/user-data-ran
  chmod +x /var/lib/user-data
  /var/lib/user-data > /dev/console 2>&1
fi
say "ready at $(cut -d' ' -f1 /proc/uptime) s as $(hostname)"
E

# What the kernel says about disks and network cards, at start and later.
cat > "$R/etc/hotplug" << 'E'
#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
links=/dev/disk/by-id
case $SUBSYSTEM:$ACTION in
  block:add)
    sys=/sys/class/block/$DEVNAME part=
    [ -e $sys/partition ] && part=-part$(cat $sys/partition) && sys=$(readlink -f $sys)/..
    serial=$(cat $sys/serial 2> /dev/null)
    [ -n "$serial" ] && ln -sf ../../$DEVNAME "$links/virtio-$serial$part" ;;
  block:remove)
    for link in $links/*; do [ "$(readlink $link)" = ../../$DEVNAME ] && rm -f $link; done ;;
  net:add)
    case $INTERFACE in eth*) /etc/nic-up $INTERFACE ;; esac ;;
  net:remove)
    rm -rf /run/nic.$INTERFACE ;;
esac
exit 0
E

cat > "$R/etc/nic-up" << 'E'
#!/bin/sh
# The kernel's event and the start script may both bring the same card.
mkdir /run/nic.$1 2> /dev/null || { i=0; while [ ! -e /run/nic.$1/done ] && [ $i -lt 100 ]; do usleep 100000; i=$((i+1)); done; exit 0; }
ip link set $1 up
udhcpc -i $1 -t 6 -T 2 -A 3 -b -x hostname:$(hostname) -O staticroutes -O mtu -s /usr/share/udhcpc/default.script > /var/log/dhcp.$1 2>&1
touch /run/nic.$1/done
E

cat > "$R/usr/share/udhcpc/default.script" << 'E'
#!/bin/sh
export PATH=/bin:/sbin
case $1 in
  deconfig)
    ip -4 addr flush dev $interface
    ip link set $interface up ;;
  bound|renew)
    [ -n "$mtu" ] && ip link set $interface mtu $mtu
    ip -4 addr flush dev $interface
    ip addr add $ip/${mask:-24} broadcast + dev $interface
    if [ -n "$staticroutes" ]; then
      set -- $staticroutes
      while [ $# -ge 2 ]; do
        if [ $2 = 0.0.0.0 ]; then ip route replace $1 dev $interface; else ip route replace $1 via $2 dev $interface onlink; fi
        shift 2
      done
    else
      for gateway in $router; do ip route replace default via $gateway dev $interface; done
    fi
    { [ -n "$domain" ] && echo "search $domain"; for server in $dns; do echo "nameserver $server"; done; } > /etc/resolv.conf ;;
esac
exit 0
E

cat > "$R/etc/metadata" << 'E'
#!/bin/sh
# Name, keys and user data: from the metadata service, else from a config drive.
export PATH=/bin:/sbin
say() { echo "guest: $*" > /dev/console; }
# Debian's static wget crashes with -T.
get() { timeout 4 wget -q -O $2.new http://169.254.169.254/openstack/latest/$1 2> /dev/null && [ -s $2.new ] && mv $2.new $2; }
source=none
modprobe -q isofs
drive=$(findfs LABEL=config-2 2> /dev/null)
tries=6
[ -n "$drive" ] && tries=1
[ -n "$(ip -4 addr show scope global)" ] || tries=0
while [ $tries -gt 0 ]; do
  get meta_data.json /run/meta_data.json && { source=http; get user_data /var/lib/user-data; break; }
  tries=$((tries-1))
  sleep 1
done
if [ $source = none ] && [ -n "$drive" ]; then
  mkdir -p /mnt/config
  if mount -t iso9660 -o ro $drive /mnt/config || { modprobe -q vfat; mount -t vfat -o ro $drive /mnt/config; }; then
    cp /mnt/config/openstack/latest/meta_data.json /run/ && source=config-drive
    [ -f /mnt/config/openstack/latest/user_data ] && cp /mnt/config/openstack/latest/user_data /var/lib/user-data
    umount /mnt/config
  fi 2> /dev/null
fi
[ $source = none ] && { say "no metadata"; exit 0; }
field() { tr ',{}' '\n\n\n' < /run/meta_data.json | sed -n "s/^ *\"$1\" *: *\"\([^\"]*\)\".*/\1/p" | head -n1; }
name=$(field hostname)
[ -n "$name" ] && { hostname "${name%%.*}"; hostname > /etc/hostname; }
field uuid > /var/lib/instance-id
# Every string that is an ssh key is one of ours; the document has them twice.
grep -oE '"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-[a-z0-9]+) [^"]*"' /run/meta_data.json | sed 's/^"//; s/"$//; s/\\[nr]//g; s/\\\//\//g' | sort -u > /run/keys
if [ -s /run/keys ]; then
  for home in /root /home/guest; do
    cp /run/keys $home/.ssh/authorized_keys
    chmod 700 $home/.ssh
    chmod 600 $home/.ssh/authorized_keys
  done
  chown -R 1000:1000 /home/guest
fi
say "metadata from $source, name $(hostname), $(wc -l < /run/keys) keys"
E

printf '#!/bin/sh\nexec poweroff\n' > "$R/etc/acpi/PWRF/00000080"
# As the guest agent and people call it.
cat > "$R/sbin/shutdown" << 'E'
#!/bin/sh
for word in "$@"; do case $word in -r) exec /bin/reboot ;; esac; done
exec /bin/poweroff
E
cat > "$R/usr/sbin/chpasswd" << 'E'
#!/bin/sh
# Reads user:password lines as the guest agent writes them; -e: hashed already.
while IFS=: read -r user secret; do
  [ "$1" = -e ] || secret=$(printf '%s\n' "$secret" | mkpasswd -m sha512 -P 0)
  awk -F: -v OFS=: -v user="$user" -v secret="$secret" '$1 == user { $2 = secret; found = 1 } { print } END { exit !found }' /etc/shadow > /etc/shadow.new || exit 1
  chmod 600 /etc/shadow.new
  mv /etc/shadow.new /etc/shadow
done
E
cat > "$R/usr/bin/sudo" << 'E'
#!/bin/sh
# Only what scripts use: options that do not matter here are dropped, the rest runs as root.
while [ $# -gt 0 ]; do case $1 in -u) shift 2 ;; --) shift; break ;; -*) shift ;; *) break ;; esac; done
[ $# -gt 0 ] || exec su root
line=
for word in "$@"; do line="$line '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"; done
exec su root -c "PATH=/bin:/sbin:/usr/bin:/usr/sbin;$line"
E
cat > "$R/sbin/mkfs.ext4" << 'E'
#!/bin/sh
# busybox makes ext2, which the ext4 driver mounts. Of the options only the device and the label count.
label=
while [ $# -gt 1 ]; do case $1 in -L) label="-L $2"; shift ;; esac; shift; done
exec mke2fs $label "$1"
E
ln -s mkfs.ext4 "$R/sbin/mkfs.ext3"
ln -s ../bin/mke2fs "$R/sbin/mkfs.ext2"
chmod 755 "$R"/etc/{rcS,hotplug,nic-up,metadata,acpi/PWRF/00000080} "$R/usr/share/udhcpc/default.script" "$R/sbin/shutdown" "$R/sbin/mkfs.ext4" "$R/usr/sbin/chpasswd" "$R/usr/bin/sudo"
if [ "$(id -u)" = 0 ]; then chown -R 0:0 "$R"; chown -R 1000:1000 "$R/home/guest"; chmod 4755 "$R/bin/busybox"; fi

# ---------------------------------------------------------------- initramfs: mounts the root and goes on there

I=$WORK/initramfs
mkdir -p "$I"/{bin,proc,sys,dev,root,modules}
cp "$BUSYBOX" "$I/bin/busybox"
ln -s busybox "$I/bin/sh"
index=100
for module in $(closure virtio_pci virtio_blk virtio_scsi sd_mod ext4); do cp "$X/lib/modules/$KV/$module" "$I/modules/$index-$(basename "$module")"; index=$((index + 1)); done
cat > "$I/init" << 'E'
#!/bin/busybox sh
box=/bin/busybox
$box mount -t proc proc /proc
$box mount -t sysfs sysfs /sys
$box mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do $box insmod $module; done
i=0
while [ $i -lt 200 ]; do
  root=$($box findfs LABEL=rootfs 2> /dev/null) && break
  $box usleep 50000
  i=$((i+1))
done
if $box mount -t ext4 -o rw,noatime "$root" /root; then
  $box umount /proc
  $box umount /sys
  $box mount -o move /dev /root/dev
  exec $box switch_root /root /sbin/init
fi
echo 'guest: no root file system' > /dev/console
exec $box sh
E
chmod 755 "$I/init"
find "$I" "$R" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$I" && find . | sort | "$BUSYBOX" cpio -o -H newc -R 0:0 2> /dev/null) | gzip -9n > "$WORK/initrd.gz"

# ---------------------------------------------------------------- disk

BOOT_MIB=20
truncate -s "${BOOT_MIB}M" boot.fat
mkfs.fat -F 16 -i 5c400c00 -n BOOT boot.fat > /dev/null
# no_timer_check, tsc=reliable: without them a guest under plain emulation on a busy host may find its clock broken and stop.
cat > syslinux.cfg << 'E'
DEFAULT guest
PROMPT 0
TIMEOUT 1
LABEL guest
  LINUX /vmlinuz
  INITRD /initrd.gz
  APPEND console=tty1 console=ttyS0,115200 panic=5 mitigations=off random.trust_cpu=on 8250.nr_uarts=1 nokaslr no_timer_check tsc=reliable loglevel=5
E
export MTOOLS_SKIP_CHECK=1
mcopy -m -i boot.fat "$X/boot/vmlinuz-$KV" ::/vmlinuz
mcopy -m -i boot.fat initrd.gz ::/initrd.gz
mcopy -i boot.fat syslinux.cfg ::/syslinux.cfg
syslinux --install boot.fat
# Some room to write; the disk may be larger than the file system.
ROOT_MIB=$(($(du -sm "$R" | cut -f1) + 40))
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -O '^has_journal,^metadata_csum' -m 0 -L rootfs -U 5c400c00-0000-4000-8000-000000000001 -E hash_seed=5c400c00-0000-4000-8000-000000000002,root_owner=0:0 -d "$R" root.ext4 "${ROOT_MIB}M" > /dev/null
truncate -s "$((1 + BOOT_MIB + ROOT_MIB))M" disk.raw

# Four bytes, little endian, as printf escapes.
le32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
entry() { printf "\\x$1\\xfe\\xff\\xff\\x$2\\xfe\\xff\\xff$(le32 "$3")$(le32 "$4")"; }
MBR=$(ls "$X"/usr/lib/syslinux/mbr/mbr.bin "$X"/usr/lib/SYSLINUX/mbr.bin 2> /dev/null | head -n1)
cp "$MBR" code.bin
truncate -s 440 code.bin
{ cat code.bin; printf '\x00\x0c\x40\x5c\x00\x00'; entry 80 0e 2048 $((BOOT_MIB * 2048)); entry 00 83 $((2048 + BOOT_MIB * 2048)) $((ROOT_MIB * 2048)); head -c 32 /dev/zero; printf '\x55\xaa'; } > mbr.bin
dd if=mbr.bin of=disk.raw conv=notrunc status=none
dd if=boot.fat of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
dd if=root.ext4 of=disk.raw bs=1M seek=$((1 + BOOT_MIB)) conv=notrunc,sparse status=none
qemu-img convert -f raw -O qcow2 -c disk.raw "$OUT.new"
mv "$OUT.new" "$OUT"
echo "guest-image: $OUT, $(stat -c %s "$OUT") bytes, Linux $KV"
