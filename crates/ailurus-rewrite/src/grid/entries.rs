//! Tables that the smaller grid needs made anew.

use super::{Meanings, Region, Sizes, atoms_of, meanings::Entry, numbers::Changed, sizes::Part as Half};
use crate::{
    fold::Folder,
    options::Tables,
    simulate::Simulation,
    tables::{Part, Place, TableEdit},
};
use ailurus_analyze::{Code, Refusal, axis::AtomId};

pub fn edit(
    region: &Region,
    meanings: &Meanings,
    sizes: &Sizes,
    changed: &Changed,
    how: Tables,
    out: &mut Simulation,
) -> Result<(), Refusal> {
    let mut folder = Folder::new(&region.a.interp);
    for entry in &meanings.entries {
        let touched = changed.touches(entry.value);
        let Some(edit) = needed(region, meanings, sizes, entry, touched)? else { continue };
        // Made now, too, so that a table that cannot be made is refused here and not half way.
        let fail = |why: String| {
            let name = region.g.name_of(entry.value);
            region.refuse(
                Code::AIL0210,
                entry.node,
                format!("the table `{name}` cannot be made for the smaller grid: {why}"),
            )
        };
        let table = folder
            .value(entry.value)
            .map_err(|what| fail(format!("it is computed by {what}, which is not followed")))?;
        edit.made(&table, how).map_err(fail)?;
        out.tables.push(edit);
    }
    Ok(())
}

/// The edit, when the table is another on the smaller grid.
fn needed(
    region: &Region,
    meanings: &Meanings,
    sizes: &Sizes,
    entry: &Entry,
    touched: bool,
) -> Result<Option<TableEdit>, Refusal> {
    let mut axes = Vec::with_capacity(entry.axes.len());
    let mut shifts = [None; 2];
    for axis in &entry.axes {
        let atoms = atoms_of(axis).map(|atoms| meanings.resolve(&atoms)).unwrap_or_default();
        let mut parts = Vec::with_capacity(atoms.len());
        for a in atoms {
            parts.push(part(region, sizes, entry, a, &mut shifts)?);
        }
        axes.push(parts);
    }
    let resized = axes.iter().flatten().any(|p| p.from != p.to);
    let rolled = shifts.iter().flatten().any(|(before, after)| before != after);
    if !(resized || rolled || touched) {
        return Ok(None);
    }
    let dtype = region.a.interp.get(entry.value).map_or(1, |x| x.dtype.to_onnx());
    let windows = axes.iter().flatten().any(|p| matches!(p.place, Place::WindowRows | Place::WindowColumns));
    Ok(Some(TableEdit {
        node: region.key(entry.node),
        input: entry.input,
        dtype,
        axes,
        shifts: windows.then(|| shifts.map(Option::unwrap_or_default)),
    }))
}

/// A factor of an axis, and how far what it counts is rolled.
fn part(
    region: &Region,
    sizes: &Sizes,
    entry: &Entry,
    a: AtomId,
    shifts: &mut [Option<(usize, usize)>; 2],
) -> Result<Part, Refusal> {
    let unknown = || {
        let name = region.g.name_of(entry.value);
        Refusal {
            next: "export the model with a fixed batch size".into(),
            ..region.refuse(
                Code::AIL0210,
                entry.node,
                format!("the table `{name}` is made at run time, for as many images as there are"),
            )
        }
    };
    let known = |n: Option<i64>| n.and_then(|n| usize::try_from(n).ok());
    let from = known(sizes.before(a)).ok_or_else(unknown)?;
    let Some(direction) = sizes.direction(a) else { return Ok(Part { place: Place::Fixed, from, to: from }) };
    let size = sizes.atom(a).map_err(|fault| fault.refusal().at(region.g, entry.node))?;
    let to = known(size.constant()).ok_or_else(unknown)?;
    let half = sizes.part(a);
    if half != Half::Whole
        && let Some((before, after)) = sizes.shift(a)
    {
        shifts[direction] = Some((before as usize, after as usize));
    }
    let place = match (half, direction) {
        (Half::Whole, 0) => Place::Rows,
        (Half::Whole, _) => Place::Columns,
        (Half::Windows, 0) => Place::WindowRows,
        (Half::Windows, _) => Place::WindowColumns,
        (Half::Inside, 0) => Place::RowsInside,
        (Half::Inside, _) => Place::ColumnsInside,
    };
    Ok(Part { place, from, to })
}
