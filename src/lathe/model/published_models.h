// Models from papers whose weights were not published, as closely as the components here allow, to
// see what they cost. Each summary in presets() says where a preset differs from its paper.
#pragma once

#include "lathe/model/model_config.h"

namespace lathe {

ModelConfig palm_8b();  // Chowdhery et al. 2022, arXiv:2204.02311, Table 1
ModelConfig palm_62b();
ModelConfig palm_540b();
ModelConfig u_palm_540b();     // Tay et al. 2022, arXiv:2210.11399
ModelConfig gopher_280b();     // Rae et al. 2021, arXiv:2112.11446, Table 1
ModelConfig chinchilla_70b();  // Hoffmann et al. 2022, arXiv:2203.15556, Table 4
ModelConfig glam_64b_64e();    // Du et al. 2021, arXiv:2112.06905, Table 4
ModelConfig glm_130b();        // Zeng et al. 2022, arXiv:2210.02414, Section 2 and Appendix B

}  // namespace lathe
