using OnnxLlm.Text.Filtering;

namespace OnnxLlm.Serving.Safety;

/// <summary>A category of words and patterns that block a text, on the sides of the model that it is for.</summary>
internal sealed class WordFilter(ContentCategory category) : IGuardrail
{
    public IReadOnlyList<string> Categories => [category.Name];

    public IEnumerable<Finding> Inspect(string text, TextSide side) => (side == TextSide.Prompt ? category.InPrompts : category.InAnswers)
        ? category.Find(text).Select(place => new Finding(place.Start, place.End, category.Name, null))
        : [];
}
