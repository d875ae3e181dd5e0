/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "enrich/container.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define POD "1c2d3e4f-0011-2233-4455-66778899aabb"
#define POD_ "1c2d3e4f_0011_2233_4455_66778899aabb"
#define KUBE "kubernetes pod " POD " container 0123456789ab"
#define USER "/user.slice/user-1000.slice/user@1000.service/user.slice/"

/* clang-format off: it would tear the paths apart */
static const struct {
	const char *cgroup, *want; /* NULL: no container */
} cases[] = {
	/* none */
	{"", NULL},
	{"0::/\n", NULL},
	{"0::/init.scope\n", NULL},
	{"0::/system.slice/sshd.service\n", NULL},
	{"0::/system.slice/docker.service\n", NULL},
	{"0::/system.slice/containerd.service\n", NULL},
	{"0::/user.slice/user-1000.slice/session-3.scope\n", NULL},
	{"0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator\n", NULL},
	{"0::/machine.slice/libpod-conmon-" ID ".scope\n", NULL},
	{"0::/lxc.monitor.web\n", NULL},
	{"0::/kubepods.slice/kubepods-burstable.slice\n", NULL},
	{"0::/system.slice/docker-0123456789ab.scope\n", NULL},
	{"no colon, no slash", NULL},
	{"12:pids:/user.slice\n0::/\n", NULL},

	/* docker: systemd and cgroupfs driver, v1, nested, from within a cgroup namespace */
	{"0::/system.slice/docker-" ID ".scope\n", "docker 0123456789ab"},
	{"0::/system.slice/docker-" ID ".scope/init.scope\n", "docker 0123456789ab"},
	{"0::/docker/" ID "\n", "docker 0123456789ab"},
	{"0::/docker/" ID, "docker 0123456789ab"},
	{"12:pids:/docker/" ID "\n11:cpu,cpuacct:/docker/" ID "\n1:name=systemd:/docker/" ID "\n",
	 "docker 0123456789ab"},
	{"1:name=systemd:/docker/" ID "/system.slice/nginx.service\n0::/\n", "docker 0123456789ab"},
	{"0::/docker/" ID2 "/docker/" ID "\n", "docker 0123456789ab"},
	{"0::/../docker-" ID ".scope\n", "docker 0123456789ab"},
	{USER "docker-" ID ".scope", "docker 0123456789ab"},
	{"0::/my-parent/" ID "\n", "container 0123456789ab"},
	{"0::/docker/buildkit/" ID "\n", "buildkit 0123456789ab"},

	/* containerd: nerdctl, CRI without pod, ctr */
	{"0::/system.slice/nerdctl-" ID ".scope\n", "containerd 0123456789ab"},
	{"0::/default/" ID "\n", "containerd 0123456789ab"},
	{"0::/system.slice/cri-containerd-" ID ".scope\n", "containerd 0123456789ab"},

	/* podman: root, rootless, crun's payload, pod, cgroupfs, quadlet */
	{"0::/machine.slice/libpod-" ID ".scope\n", "podman 0123456789ab"},
	{"0::/machine.slice/libpod-" ID ".scope/container\n", "podman 0123456789ab"},
	{"0::" USER "libpod-" ID ".scope/container\n", "podman 0123456789ab"},
	{"0::" USER "user-libpod_pod_" ID2 ".slice/libpod-" ID ".scope\n", "podman 0123456789ab"},
	{"0::/machine.slice/machine-libpod_pod_" ID2 ".slice/libpod-" ID ".scope/container\n", "pod"
											       "man"
											       " 01"
											       "234"
											       "567"
											       "89a"
											       "b"},
	{"0::/libpod_parent/libpod-" ID "\n", "podman 0123456789ab"},
	{"0::/system.slice/web.service/libpod-payload-" ID "\n", "podman 0123456789ab"},
	{"0::/machine.slice/buildah-" ID ".scope\n", "buildah 0123456789ab"},

	/* kubernetes: drivers, runtimes, classes of service, static pods, kind, mixed drivers */
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
	 ".slice/cri-containerd-" ID ".scope\n",
	 KUBE},
	{"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_
	 ".slice/crio-" ID ".scope/container\n",
	 KUBE},
	{"0::/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" ID ".scope\n", KUBE},
	{"11:memory:/kubepods/burstable/pod" POD "/" ID "\n0::/\n", KUBE},
	{"0::/kubepods/pod" POD "/" ID "\n", KUBE},
	{"0::/kubepods/besteffort/pod" POD "\n", "kubernetes pod " POD},
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
	 "a1b2c3d4e5f60718293a4b5c6d7e8f90.slice/cri-containerd-" ID ".scope\n",
	 "kubernetes pod a1b2c3d4e5f60718293a4b5c6d7e8f90 container 0123456789ab"},
	{"0::/docker/" ID2 "/kubelet/kubepods/burstable/pod" POD "/" ID "\n", KUBE},
	{"0::/system.slice/docker-" ID2 ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-"
	 "kubepods-burstable.slice/kubelet-kubepods-burstable-pod" POD_ ".slice/cri-containerd-" ID
	 ".scope\n",
	 KUBE},
	{"0::/system.slice/containerd.service/kubepods-burstable-pod" POD_ ".slice:cri-"
	 "containerd:" ID "\n",
	 KUBE},

	/* others */
	{"0::/ecs/cluster/task/" ID "\n", "ecs 0123456789ab"},
	{"0::/lxc/web\n", "lxc web"},
	{"9:cpu:/lxc/web/system.slice/nginx.service\n", "lxc web"},
	{"0::/lxc.payload.web-1/init.scope\n", "lxc web-1"},
	{"0::/lxc.payload/web\n", "lxc web"},
	{"0::/machine.slice/systemd-nspawn@build.service/payload\n", "nspawn build"},
};
/* clang-format on */

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char got[80] = "left over";
		bool found = container_parse(cases[i].cgroup, got, sizeof(got));

		if (found != !!cases[i].want || strcmp(got, found ? cases[i].want : ""))
			fail_msg("%s: \"%s\"", cases[i].cgroup, got);
	}
}

static void test_small_buffer(void **state)
{
	char got[12];

	(void)state;
	assert_true(container_parse("0::/docker/" ID "\n", got, sizeof(got)));
	assert_string_equal(got, "docker 0123");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_small_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
