#include "reenact/world/world.h"

reenact::World* Take(reenact::World& world) {
#ifdef MISUSE
  static auto copy = world;  // one history, one object
  return &copy;
#else
  return &world;
#endif
}
