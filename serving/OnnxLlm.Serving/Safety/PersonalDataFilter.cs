using OnnxLlm.Text.Privacy;

namespace OnnxLlm.Serving.Safety;

/// <summary>Masks personal data in answers, or blocks them. What people write about themselves in prompts is theirs.</summary>
internal sealed class PersonalDataFilter(bool blocks) : IGuardrail
{
    public IReadOnlyList<string> Categories => PersonalData.Kinds;

    public IEnumerable<Finding> Inspect(string text, TextSide side) => side == TextSide.Prompt
        ? []
        : PersonalData.Find(text).Select(datum => new Finding(datum.Start, datum.End, datum.Kind, blocks ? null : PersonalData.Mask(datum.Kind)));
}
