//! What the region may do with its grid, and whether everything still fits together.

use super::{Meanings, Region, Sizes};
use ailurus_analyze::{Code, Refusal, abs::Abs, interp::How, transfer};
use ailurus_onnx::Node;

/// Attention may sum and normalise over tokens; rolling, padding and cutting back may tell rows and columns apart. Nothing
/// else may.
pub fn effects(region: &Region, meanings: &Meanings) -> Result<(), Refusal> {
    for e in &meanings.effects {
        let axis = meanings.resolved(&e.axis);
        if !region.on_grid(&meanings.interp.atoms, &axis) {
            continue;
        }
        let node = region.g.node(e.node);
        let fine = match e.how {
            How::Contract | How::Normalize | How::Reduce => region.probabilities.contains(e.node),
            How::Mix => node.domain.is_empty() && matches!(node.op_type.as_str(), "Pad" | "Slice"),
        };
        if !fine {
            let verb = match e.how {
                How::Contract => "sums over rows or columns of the grid",
                How::Normalize => "normalises over rows or columns of the grid",
                How::Reduce => "reduces rows or columns of the grid",
                How::Mix => "moves tokens about in a way that is not followed",
            };
            return Err(region.refuse(Code::AIL0207, e.node, format!("`{}` {verb}", node.qualified_op())));
        }
    }
    Ok(())
}

/// Operands that meet element by element must be as long as each other on the smaller grid, too.
pub fn sizes(region: &Region, meanings: &Meanings, sizes: &Sizes) -> Result<(), Refusal> {
    for (id, node) in region.g.nodes().filter(|(id, _)| region.nodes.contains(*id)) {
        if !transfer::is_elementwise(&node.domain, &node.op_type) || !reads(meanings, node) {
            continue;
        }
        let operands: Vec<Abs> = (0..node.inputs.len()).filter_map(|slot| meanings.read(id, node, slot)).collect();
        let rank = operands.iter().filter_map(Abs::rank).max().unwrap_or(0);
        for back in 1..=rank {
            let mut seen: Option<i64> = None;
            for abs in &operands {
                let Some(axis) = abs.axes().len().checked_sub(back).map(|i| &abs.axes()[i]) else { continue };
                if axis.is_one() {
                    continue;
                }
                let size = sizes.of(axis).map_err(|fault| fault.refusal().at(region.g, id))?;
                let Some(n) = meanings.interp.atoms.symbols.known(&size).filter(|&n| n != 1) else { continue };
                if *seen.get_or_insert(n) != n {
                    return Err(region.refuse(
                        Code::AIL0210,
                        id,
                        format!(
                            "`{}` combines what is {} long on the smaller grid with what is {n} long",
                            node.qualified_op(),
                            seen.unwrap_or(n)
                        ),
                    ));
                }
            }
        }
    }
    Ok(())
}

fn reads(meanings: &Meanings, node: &Node) -> bool {
    node.inputs.iter().flatten().any(|v| meanings.values.contains_key(v))
}
