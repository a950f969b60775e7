//! The memory of tract's tensors, and errors of the operators' crate.

use ailurus_ops::Element;
use tract_onnx::tract_hir::internal::*;

/// The elements of an input.
pub(super) fn slice<T: Datum>(value: &TValue) -> TractResult<&[T]> {
    value.try_as_plain_ram()?.as_slice::<T>()
}

/// The elements of a trailing optional input.
pub(super) fn optional<T: Datum>(inputs: &[TValue], at: usize) -> TractResult<Option<&[T]>> {
    inputs.get(at).map(slice::<T>).transpose()
}

/// A tensor of these elements.
pub(super) fn tensor<T: Datum + Copy>(shape: &[usize], data: &[T]) -> TractResult<TValue> {
    Ok(Tensor::from_shape(shape, data)?.into_tvalue())
}

/// The dimensions of an input that must have this rank.
pub(super) fn dims<const RANK: usize>(value: &TValue) -> TractResult<[usize; RANK]> {
    let shape = value.shape();
    shape.try_into().map_err(|_| format_err!("an input has the shape {shape:?}, not {RANK} axes"))
}

/// Height and width from an input `grid`, where there is one.
pub(super) fn grid(input: Option<&TValue>) -> TractResult<Option<(usize, usize)>> {
    let Some(grid) = input else { return Ok(None) };
    let grid = grid.cast_to::<i64>()?;
    let [h, w] = *grid.try_as_plain_ram()?.as_slice::<i64>()? else {
        bail!("grid has {} elements, not 2", grid.len());
    };
    Ok(Some((usize::try_from(h)?, usize::try_from(w)?)))
}

/// The sides of an input `grid` while types are made: numbers where they are known, else symbols of their own.
pub(super) fn sides(input: Option<&TypedFact>) -> TractResult<[TDim; 2]> {
    let known = input.and_then(|fact| fact.konst.as_ref()).map(|grid| grid.cast_to::<TDim>()).transpose()?;
    let known =
        known.map(|grid| Ok::<_, TractError>(grid.try_as_plain_ram()?.as_slice::<TDim>()?.to_vec())).transpose()?;
    Ok(known.and_then(|sides| <[TDim; 2]>::try_from(sides).ok()).unwrap_or_else(|| {
        let symbols = SymbolScope::default();
        ["grid_h", "grid_w"].map(|name| symbols.sym(name).to_dim())
    }))
}

/// An error of the operators' crate with its code.
pub(super) fn objection(error: ailurus_ops::Error) -> TractError {
    format_err!("[{}] {error}", error.code())
}

/// An element type that both crates know.
pub(super) trait Both: Element + Datum {}
impl Both for f32 {}
impl Both for f16 {}

/// Calls a generic function for the element type of a tensor.
macro_rules! by_element {
    ($value:expr, $function:ident($($argument:expr),*)) => {
        match $value.datum_type() {
            DatumType::F32 => $function::<f32>($($argument),*),
            DatumType::F16 => $function::<f16>($($argument),*),
            other => bail!("the operator takes f32 or f16, not {other:?}"),
        }
    };
}
pub(super) use by_element;

/// Axis `axis` of an input of rank `rank`.
pub(super) fn axis(fact: &TypedFact, rank: usize, axis: usize) -> TractResult<TDim> {
    ensure!(fact.rank() == rank, "an input has {} axes, not {rank}", fact.rank());
    Ok(fact.shape[axis].clone())
}
