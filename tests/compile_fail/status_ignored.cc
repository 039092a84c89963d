#include "reenact/world/world.h"

void Finish(reenact::World& world) {
#ifdef MISUSE
  world.Close();  // an error of closing is the last one there is to hear of
#else
  world.Close().IgnoreError();
#endif
}
