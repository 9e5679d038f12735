#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 at random moments, for each way from a replayable input to a storage: nothing is missing
afterwards, nothing is there that was not sent, and no count is below the true one."""
from faults import FEEDS, STORAGES, Plant, dice, pause, rounds
from cofdtest import case, main

KILLS = rounds(3, 200)
CHUNK = 1500


def kills(world, feed, storage):
    name = "%s to %s" % (feed, storage)
    rng = dice(name)
    plant = Plant(world, FEEDS[feed](world, rng.randrange(1000)), STORAGES[storage](world))
    for _ in range(KILLS):
        plant.feed.push(CHUNK)
        server = plant.start()
        if rng.random() < 0.2:  # at times before it serves, while it opens what it needs
            pause(rng, 0.2)
        else:
            server.ready()
            pause(rng, 0.03)
        server.kill()
    higher = plant.finish(plant.serve(), exact=False)
    total = sum(value[2] for value in plant.model().values())
    print("# %s: %d kills; counts are %d above the true %d" % (name, KILLS, higher, total))


for _feed in FEEDS:
    for _storage in STORAGES:
        case("killed %d times: %s to %s" % (KILLS, _feed, _storage))(
            lambda world, f=_feed, s=_storage: kills(world, f, s))


@case("killed while it waits for a storage that is down: all is stored once that is back")
def storage_down(world):
    plant = Plant(world, FEEDS["d4"](world), STORAGES["redis compact"](world))
    server = plant.serve()
    plant.feed.push(300)
    plant.drain(server)
    plant.storage.redis.kill()
    plant.feed.push(CHUNK)
    server.wait_log("does not take writes")
    server.kill()
    server = plant.start()
    server.wait_log("cannot connect")
    server.kill()
    plant.storage.redis.start()
    server = plant.serve()
    plant.finish(server, exact=False)


if __name__ == "__main__":
    main()
