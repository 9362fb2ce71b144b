//! Tokens into nodes.

use super::token::{Piece, Token, pieces};
use super::{Block, Command, Node, Operand, Pipeline, TemplateError};

/// What ends a list of nodes.
enum End {
    Whole,
    Closed,
    Else(Vec<Token>),
}

pub(super) fn nodes(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut pieces = pieces(text)?.into_iter();
    let (nodes, end) = list(&mut pieces)?;
    match end {
        End::Whole => Ok(nodes),
        End::Closed => Err(TemplateError::Unexpected("end".to_owned())),
        End::Else(_) => Err(TemplateError::Unexpected("else".to_owned())),
    }
}

fn list(pieces: &mut std::vec::IntoIter<Piece>) -> Result<(Vec<Node>, End), TemplateError> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let tokens = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        let (first, rest) = match tokens.split_first() {
            Some((Token::Name(name), rest)) => (name.as_str(), rest),
            _ => ("", tokens.as_slice()),
        };
        nodes.push(match first {
            "end" => return Ok((nodes, End::Closed)),
            "else" => return Ok((nodes, End::Else(rest.to_vec()))),
            "if" => Node::If(block("if", rest, pieces)?),
            "with" => Node::With(block("with", rest, pieces)?),
            "range" => Node::Range(block("range", rest, pieces)?),
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(TemplateError::Unexpected(first.to_owned()));
            }
            _ => Node::Print(pipeline(&tokens)?),
        });
    }
    Ok((nodes, End::Whole))
}

fn block(
    keyword: &'static str,
    tokens: &[Token],
    pieces: &mut std::vec::IntoIter<Piece>,
) -> Result<Block, TemplateError> {
    let pipeline = pipeline(tokens)?;
    let (body, end) = list(pieces)?;
    let otherwise = match end {
        End::Closed => Vec::new(),
        End::Whole => return Err(TemplateError::NoEnd(keyword)),
        End::Else(tokens) => match tokens.split_first() {
            // `{{else if …}}` shares the end of the whole.
            Some((Token::Name(name), rest)) if name == "if" => {
                vec![Node::If(block("if", rest, pieces)?)]
            }
            Some(_) => return Err(TemplateError::Unexpected("else".to_owned())),
            None => match list(pieces)? {
                (otherwise, End::Closed) => otherwise,
                (_, End::Whole) => return Err(TemplateError::NoEnd(keyword)),
                (_, End::Else(_)) => return Err(TemplateError::Unexpected("else".to_owned())),
            },
        },
    };
    Ok(Block {
        pipeline,
        body,
        otherwise,
    })
}

fn pipeline(tokens: &[Token]) -> Result<Pipeline, TemplateError> {
    let mut tokens = tokens.iter();
    let (pipeline, closed) = commands(&mut tokens)?;
    match closed {
        None => Ok(pipeline),
        Some(_) => Err(TemplateError::Unexpected(")".to_owned())),
    }
}

/// Commands up to the end, or up to a `)` whose path is given back.
fn commands(
    tokens: &mut std::slice::Iter<'_, Token>,
) -> Result<(Pipeline, Option<Vec<String>>), TemplateError> {
    let (mut commands_so_far, mut command) = (Vec::new(), Vec::new());
    let mut closed = None;
    while let Some(token) = tokens.next() {
        match token {
            Token::Path(names) => command.push(Operand::Path {
                from_top: false,
                names: names.clone(),
            }),
            Token::Top(names) => command.push(Operand::Path {
                from_top: true,
                names: names.clone(),
            }),
            Token::Literal(value) => command.push(Operand::Literal(value.clone())),
            Token::Name(name) => command.push(Operand::Name(name.clone())),
            Token::Pipe => commands_so_far.push(complete(std::mem::take(&mut command))?),
            Token::Open => {
                let (inside, path) = commands(tokens)?;
                let path = path.ok_or_else(|| TemplateError::Unexpected("(".to_owned()))?;
                command.push(Operand::Group(inside, path));
            }
            Token::Close(path) => {
                closed = Some(path.clone());
                break;
            }
        }
    }
    commands_so_far.push(complete(command)?);
    Ok((Pipeline(commands_so_far), closed))
}

fn complete(operands: Vec<Operand>) -> Result<Command, TemplateError> {
    if operands.is_empty() {
        return Err(TemplateError::Unexpected("|".to_owned()));
    }
    Ok(Command(operands))
}
