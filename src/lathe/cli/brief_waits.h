// How long threads wait actively.
#pragma once

namespace lathe {

// OpenMP's threads of GCC spin for milliseconds before they sleep. On a machine that does something
// else as well a thread then spins for one that cannot run, and a program that meets a barrier every
// few microseconds becomes ten times slower. The runtime reads its settings before main() and offers
// no other way, so the program starts itself once more with a shorter time; what OMP_WAIT_POLICY or
// GOMP_SPINCOUNT say outside counts more. Returns if that cannot be done; nothing is lost but speed.
// To be called first in main().
void wait_briefly(char** argv);

}  // namespace lathe
