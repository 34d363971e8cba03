//! What the macro writes.

use crate::attributes;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DataStruct, DeriveInput, Error, Field, Index, Member, Result, parse_quote};

/// The implementation of `ShmSafe` for a struct.
pub(crate) fn shm_safe(input: &DeriveInput) -> Result<TokenStream> {
    let data = structure(input)?;
    attributes::check_repr(&input.ident, &input.attrs)?;
    let crossdock = attributes::crossdock(&input.attrs)?;

    let name = &input.ident;
    let text = name.unraw().to_string();
    let fields = data.fields.iter().enumerate().map(|(index, field)| describe(index, field));
    let (dropless, dropless_of_any) = no_destructor(input, data);

    let mut generics = input.generics.clone();
    let parameters: Vec<_> =
        input.generics.type_params().map(|param| param.ident.clone()).collect();
    let is_generic = |field: &&Field| mentions(field.ty.to_token_stream(), &parameters);
    for field in data.fields.iter().filter(is_generic) {
        let bound = &field.ty;
        generics.make_where_clause().predicates.push(parse_quote!(#bound: #crossdock::ShmSafe));
    }
    let (of_impl, of_type, bounds) = generics.split_for_impl();

    Ok(quote! {
        const _: () = {
            #dropless

            // SAFETY: by the numbers of the contract: (1) the macro has seen the representation and
            // `describe` does not compile unless every field is `ShmSafe`, so this is made of such types
            // and of padding; (2) as the fields; (3) the fields have no destructor, and the assertion
            // says that the struct has none; (4) as the fields.
            #[automatically_derived]
            unsafe impl #of_impl #crossdock::ShmSafe for #name #of_type #bounds {
                fn describe(layout: &mut #crossdock::TypeLayout) {
                    #dropless_of_any
                    layout.structure::<Self>(#text, |fields| { #(#fields)* });
                }
            }
        };
    })
}

fn structure(input: &DeriveInput) -> Result<&DataStruct> {
    let name = &input.ident;
    match &input.data {
        Data::Struct(data) => Ok(data),
        Data::Enum(data) => {
            let text = format!(
                "`{name}` is an enum: what a killed process leaves behind may be none of its variants, \
                 which is undefined behaviour (store a `u8` or an `Atomic<u8>`, and convert it with \
                 `TryFrom`)"
            );
            Err(Error::new(data.enum_token.span, text))
        }
        Data::Union(data) => {
            let text = format!(
                "`{name}` is a union: nothing says which of its fields is meant (use a struct with a \
                 number that says so)"
            );
            Err(Error::new(data.union_token.span, text))
        }
    }
}

/// Adds one field to the layout. The type stands where the user wrote it, for the compiler to point at.
fn describe(index: usize, field: &Field) -> TokenStream {
    let bound = &field.ty;
    let member = match &field.ident {
        Some(ident) => Member::Named(ident.clone()),
        None => Member::Unnamed(Index { index: index as u32, span: field.span() }),
    };
    let name = match &member {
        Member::Named(ident) => ident.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    };
    let span = Span::call_site().located_at(bound.span());
    quote_spanned! { span =>
        fields.field::<#bound>(#name, ::core::mem::offset_of!(Self, #member));
    }
}

/// An assertion that there is no destructor: for a type as it stands, or for each that a generic one becomes.
/// That of a field is left to the field, which is not `ShmSafe` then.
fn no_destructor(input: &DeriveInput, data: &DataStruct) -> (TokenStream, TokenStream) {
    let name = &input.ident;
    let text = format!(
        "`{name}` has a destructor, and nobody would know when to run it on what lives in shared memory \
         (remove the `Drop`, and end what the value stands for by a method)"
    );
    let fields = data.fields.iter().map(|field| &field.ty);
    let assertion = |of: TokenStream| {
        quote_spanned! { Span::call_site().located_at(name.span()) =>
            ::core::assert!(
                !::core::mem::needs_drop::<#of>() #(|| ::core::mem::needs_drop::<#fields>())*,
                #text
            )
        }
    };
    if input.generics.params.is_empty() {
        let assertion = assertion(quote!(#name));
        (quote!(const _: () = #assertion;), TokenStream::new())
    } else {
        let assertion = assertion(quote!(Self));
        (TokenStream::new(), quote!(const { #assertion };))
    }
}

/// Whether one of these type parameters occurs.
fn mentions(tokens: TokenStream, parameters: &[syn::Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => parameters.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), parameters),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
