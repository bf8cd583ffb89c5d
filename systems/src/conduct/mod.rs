//! The conductor: from pressures and demands to one decision, which every layer carries out
//! (`reference/core.md` W7, W8, W11 to W13; the seed's section 3).
//!
//! What is measured is judged once ([`judge`]), what waits at each viewer's socket once
//! ([`pace`]), and what there is to give is divided once ([`divide`]). The decision stands in
//! [`CurrentBudget`] and in each viewer's [`Pace`] and [`Share`]; from these
//! [`grant_viewers`](crate::attend::grant::grant_viewers) takes the least, never a product, so no
//! layer cuts what another has cut already. Rings, devices and lenses execute.
//!
//! [`CurrentBudget`]: divide::CurrentBudget
//! [`Pace`]: pace::Pace
//! [`Share`]: divide::Share

pub mod divide;
pub mod judge;
pub mod pace;
