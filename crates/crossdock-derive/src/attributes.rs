//! What the attributes of a struct say.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Ident, Path, Result, Token, parenthesized, parse_quote};

/// Where crossdock is: what `#[shm_safe(crate = path)]` says, or `::crossdock`.
pub(crate) fn crossdock(attributes: &[Attribute]) -> Result<Path> {
    let mut path = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("shm_safe")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("expected `crate = path`"));
            }
            if path.is_some() {
                return Err(meta.error("`crate` is there twice"));
            }
            path = Some(meta.value()?.call(Path::parse_mod_style)?);
            Ok(())
        })?;
    }
    Ok(path.unwrap_or_else(|| parse_quote!(::crossdock)))
}

/// Checks that the place of every field is known and can be borrowed.
pub(crate) fn check_repr(name: &Ident, attributes: &[Attribute]) -> Result<()> {
    let mut is_fixed = false;
    let mut packed = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            is_fixed |= meta.path.is_ident("C") || meta.path.is_ident("transparent");
            if meta.path.is_ident("packed") {
                packed = meta.path.get_ident().map(Ident::span);
            }
            skip_argument(&meta)
        })?;
    }
    match packed {
        Some(span) => {
            let text = format!(
                "`{name}` is packed: its fields may be misaligned, and neither an atomic nor a lock works \
                 there (order the fields by size instead)"
            );
            Err(Error::new(span, text))
        }
        None if is_fixed => Ok(()),
        None => Err(no_repr(name)),
    }
}

fn no_repr(name: &Ident) -> Error {
    let text = format!(
        "`{name}` has no fixed layout: the compiler may order its fields in one program as it does not in \
         another (add `#[repr(C)]`, or `#[repr(transparent)]` around a single field)"
    );
    Error::new(name.span(), text)
}

/// Goes past the number in `align(64)`.
fn skip_argument(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(syn::token::Paren) {
        let argument;
        parenthesized!(argument in meta.input);
        argument.parse::<proc_macro2::TokenStream>()?;
    } else if meta.input.peek(Token![=]) {
        return Err(meta.error("unknown representation"));
    }
    Ok(())
}
