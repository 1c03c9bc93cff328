//! The template structure of a dependency descriptor (AV1 RTP specification, appendix A.8.2):
//! templates of frames, decode targets, chains, resolutions.

use super::FrameDiffs;
use crate::wire::Malformed;
use crate::wire::bytes::Bits;

/// Template ids have six bits and wrap, so a structure holds at most 64.
pub const MAX_TEMPLATES: usize = 64;
/// `dt_cnt_minus_one` has five bits.
pub const MAX_TARGETS: usize = 32;
/// As many chains as decode targets at most.
pub const MAX_CHAINS: usize = 32;
const MAX_SPATIAL: usize = 4;

/// What a frame is to one decode target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dti {
    #[default]
    NotPresent,
    Discardable,
    Switch,
    Required,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pub spatial: u8,
    pub temporal: u8,
    pub dtis: [Dti; MAX_TARGETS],
    pub frame_diffs: FrameDiffs,
    pub chain_diffs: [u8; MAX_CHAINS],
}

/// Kept by a publication from one key frame to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    pub template_id_offset: u8,
    pub targets: u8,
    pub chains: u8,
    pub templates: Vec<Template>,
    /// Chain that protects each decode target, when there are chains.
    pub protected_by: [u8; MAX_TARGETS],
    /// Highest spatial and temporal id that each decode target holds.
    pub target_layers: [(u8, u8); MAX_TARGETS],
    sizes: [Option<(u16, u16)>; MAX_SPATIAL],
}

impl Structure {
    pub fn all_targets(&self) -> u32 {
        u32::MAX >> (32 - u32::from(self.targets))
    }

    pub fn template(&self, template_id: u8) -> Option<&Template> {
        let index =
            (template_id + MAX_TEMPLATES as u8 - self.template_id_offset) % MAX_TEMPLATES as u8;
        self.templates.get(usize::from(index))
    }

    /// Render size of a spatial layer, when the structure says it.
    pub fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        self.sizes.get(usize::from(spatial)).copied().flatten()
    }

    pub fn max_spatial(&self) -> u8 {
        self.templates
            .iter()
            .map(|template| template.spatial)
            .max()
            .unwrap_or(0)
    }

    /// A mask of the decode targets whose layers are all within the limits.
    pub fn targets_within(&self, spatial: u8, temporal: u8) -> u32 {
        let within = |target: &usize| {
            let (s, t) = self.target_layers[*target];
            s <= spatial && t <= temporal
        };
        (0..usize::from(self.targets))
            .filter(within)
            .fold(0, |mask, target| mask | (1 << target))
    }

    /// `template_dependency_structure()`.
    pub fn read(bits: &mut Bits<'_>) -> Result<Self, Malformed> {
        let template_id_offset = bits.take(6)? as u8;
        let targets = bits.take(5)? as u8 + 1;
        let mut structure = Self {
            template_id_offset,
            targets,
            chains: 0,
            templates: read_layers(bits)?,
            protected_by: [0; MAX_TARGETS],
            target_layers: [(0, 0); MAX_TARGETS],
            sizes: [None; MAX_SPATIAL],
        };
        for template in &mut structure.templates {
            template.dtis = read_dtis(bits, targets)?;
        }
        for template in &mut structure.templates {
            template.frame_diffs = read_frame_diffs(bits)?;
        }
        structure.read_chains(bits)?;
        structure.find_target_layers();
        structure.read_sizes(bits)?;
        Ok(structure)
    }

    fn read_chains(&mut self, bits: &mut Bits<'_>) -> Result<(), Malformed> {
        self.chains = bits.non_symmetric(u32::from(self.targets) + 1)? as u8;
        if self.chains == 0 {
            return Ok(());
        }
        for target in 0..usize::from(self.targets) {
            self.protected_by[target] = bits.non_symmetric(u32::from(self.chains))? as u8;
        }
        for template in &mut self.templates {
            template.chain_diffs = read_chain_diffs(bits, self.chains, 4)?;
        }
        Ok(())
    }

    fn find_target_layers(&mut self) {
        for template in &self.templates {
            for (target, dti) in template
                .dtis
                .iter()
                .enumerate()
                .take(usize::from(self.targets))
            {
                if *dti != Dti::NotPresent {
                    let (spatial, temporal) = &mut self.target_layers[target];
                    *spatial = (*spatial).max(template.spatial);
                    *temporal = (*temporal).max(template.temporal);
                }
            }
        }
    }

    fn read_sizes(&mut self, bits: &mut Bits<'_>) -> Result<(), Malformed> {
        if !bits.flag()? {
            return Ok(());
        }
        for layer in 0..=usize::from(self.max_spatial()) {
            let width = bits.take(16)? as u16;
            let height = bits.take(16)? as u16;
            let size = self.sizes.get_mut(layer).ok_or(Malformed::TooMany)?;
            *size = Some((width.saturating_add(1), height.saturating_add(1)));
        }
        Ok(())
    }
}

/// `template_layers()`: same layer, next temporal, next spatial, or the end.
fn read_layers(bits: &mut Bits<'_>) -> Result<Vec<Template>, Malformed> {
    let mut templates = Vec::with_capacity(8);
    let mut template = Template::default();
    loop {
        if templates.len() == MAX_TEMPLATES {
            return Err(Malformed::TooMany);
        }
        templates.push(template);
        match bits.take(2)? {
            0 => {}
            1 if template.temporal < 7 => template.temporal += 1,
            2 if usize::from(template.spatial) + 1 < MAX_SPATIAL => {
                template.spatial += 1;
                template.temporal = 0;
            }
            3 => return Ok(templates),
            _ => return Err(Malformed::Value),
        }
    }
}

pub fn read_dtis(bits: &mut Bits<'_>, targets: u8) -> Result<[Dti; MAX_TARGETS], Malformed> {
    let mut dtis = [Dti::NotPresent; MAX_TARGETS];
    for dti in dtis.iter_mut().take(usize::from(targets)) {
        *dti = match bits.take(2)? {
            0 => Dti::NotPresent,
            1 => Dti::Discardable,
            2 => Dti::Switch,
            _ => Dti::Required,
        };
    }
    Ok(dtis)
}

/// A template's list: continuation bit, then four bits of distance minus one.
pub fn read_frame_diffs(bits: &mut Bits<'_>) -> Result<FrameDiffs, Malformed> {
    let mut diffs = FrameDiffs::default();
    while bits.flag()? {
        diffs.push(bits.take(4)? as u16 + 1)?;
    }
    Ok(diffs)
}

/// `width` is four bits in templates, eight in a frame's own list.
pub fn read_chain_diffs(
    bits: &mut Bits<'_>,
    chains: u8,
    width: u32,
) -> Result<[u8; MAX_CHAINS], Malformed> {
    let mut diffs = [0; MAX_CHAINS];
    for diff in diffs.iter_mut().take(usize::from(chains)) {
        *diff = bits.take(width)? as u8;
    }
    Ok(diffs)
}
