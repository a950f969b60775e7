//! What each file of the zoo must do.

use crate::check::Outcome;

/// What is expected of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every layer tried is right.
    Verified,
    /// Some layers are right, the others are refused with this code.
    Partly(&'static str),
    /// Refused with this code.
    Refused(&'static str),
    /// Known to be wrong, for this reason: a part of the message.
    KnownGap(&'static str),
}

/// Name patterns; `*` stands for anything. The first that fits counts.
const TABLE: &[(&str, Status)] = &[
    // Windows, stages, reduced keys.
    ("hf_sam2_hiera.*", Status::Refused("AIL0203")),
    ("hf_sam_vision.*", Status::Refused("AIL0203")),
    ("hf_segformer.*", Status::Refused("AIL0203")),
    ("hf_vitdet_bb.*", Status::Refused("AIL0203")),
    ("sam_orig_win.*", Status::Refused("AIL0203")),
    ("timm_swin.*", Status::Refused("AIL0203")),
    // Global attention with relative positions computed from the map in each block.
    ("sam_orig_global.*", Status::Refused("AIL0206")),
    ("collide_*", Status::Verified),
    ("dpt_shared_norm*", Status::Verified),
    ("hf_beit_seg.*", Status::Verified),
    ("hf_clip_vision.*", Status::Verified),
    ("hf_depth_anything.*", Status::Verified),
    ("hf_dinov2_bb.*", Status::Verified),
    ("hf_dinov3_vit.*", Status::Verified),
    ("hf_dpt_depth.*", Status::Verified),
    ("hf_eomt.*", Status::Verified),
    ("hf_owlv2_vision.*", Status::Verified),
    ("hf_vit.*", Status::Verified),
    ("hf_vitmae_enc.*", Status::Verified),
    ("hf_yolos.*", Status::Verified),
    ("lucid_vit.*", Status::Verified),
    ("nn_transformer_pre.*", Status::Verified),
    ("sam_neck_global.*", Status::Verified),
    ("segmenter_*", Status::Verified),
    ("setr_*", Status::Verified),
    ("timm_beit.*", Status::Verified),
    ("timm_deit_dist.*", Status::Verified),
    ("timm_dinov2_*", Status::Verified),
    ("timm_dinov3.*", Status::Verified),
    ("timm_eva02.*", Status::Verified),
    ("timm_vit_*", Status::Verified),
    ("torchvision_vit.*", Status::Verified),
];

/// What is expected of a file; `None` for files nobody has written a row for.
pub fn of(name: &str) -> Option<Status> {
    TABLE.iter().find(|(pattern, _)| fits(pattern, name)).map(|(_, s)| *s)
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).filter(|&i| rest.is_char_boundary(i)).any(|i| fits(tail, &rest[i..]))),
    }
}

/// What is wrong with an outcome, if anything.
pub fn fault(name: &str, outcome: &Outcome) -> Option<String> {
    let is = crate::sweep::describe(outcome);
    let Some(status) = of(name) else {
        // A file from outside must be right or be refused.
        return matches!(outcome, Outcome::Failed(_)).then(|| format!("{name}: {is}"));
    };
    let met = match (status, outcome) {
        (Status::Verified, Outcome::Verified(n)) => n.refused.is_empty(),
        (Status::Partly(code), Outcome::Verified(n)) => {
            !n.refused.is_empty() && n.refused.iter().all(|(_, c, _)| c == code)
        }
        (Status::Refused(code), Outcome::Refused { code: c, .. }) => c == code,
        (Status::KnownGap(why), Outcome::Failed(text)) => text.contains(why),
        _ => false,
    };
    (!met).then(|| format!("{name}: expected {status:?}, is {is}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(fits("a*", "abc") && fits("*c", "abc") && fits("a*c", "abc") && fits("abc", "abc"));
        assert!(!fits("a*c", "abd") && !fits("ab", "abc") && !fits("b*", "abc"));
    }
}
