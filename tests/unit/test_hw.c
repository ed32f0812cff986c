/* Links of a device, for the placement of each axis. */
#include "hw/hw.h"
#include "support/support.h"

/* 60 GB/s inside a node, 40 GB/s between nodes, on two nodes of four devices. */
static df_hw_links links_of(double intra_derate, double inter_derate)
{
    const df_cfg cfg = {.system = {.num_devices_per_node = 4,
                                   .num_nodes = 2,
                                   .intra_derate = intra_derate,
                                   .inter_derate = inter_derate,
                                   .dp_inter = true}};
    const df_hw_device dev = {.intra = {.throughput_bytes_ps = 60e9, .latency_s = 5e-6},
                              .inter = {.throughput_bytes_ps = 40e9, .latency_s = 7e-6}};
    df_hw_links links;
    df_hw_derive_links(&cfg, &dev, &links);
    return links;
}

/* Six streams on a link inside leave 60 / 6 = 10 GB/s, with which the 40 / 2 = 20 GB/s of the
 * link between nodes cannot be filled; two leave 30 GB/s, with which they can. Without a network
 * inside there is nothing to limit them. The latency is that of the link itself. */
static void links_between_nodes_are_limited_by_those_inside(void **state)
{
    (void)state;
    const df_hw_links crowded = links_of(6, 2);
    df_assert_rel(crowded.tp.bytes_ps, 10e9, 1e-15);
    df_assert_rel(crowded.dp.bytes_ps, 10e9, 1e-15);
    df_assert_rel(crowded.dp.latency_s, 7e-6, 0);
    const df_hw_links free = links_of(2, 2);
    df_assert_rel(free.tp.bytes_ps, 30e9, 1e-15);
    df_assert_rel(free.dp.bytes_ps, 20e9, 1e-15);
    const df_hw_links alone = links_of(0, 2);
    assert_true(alone.tp.bytes_ps == 0);
    df_assert_rel(alone.dp.bytes_ps, 20e9, 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_between_nodes_are_limited_by_those_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
