using OnnxLlm.Text;

namespace OnnxLlm.Tools.Evaluation.Choices;

/// <summary>The tokens of a text, of which the last ones are to be scored.</summary>
internal sealed record Continuation(int[] Tokens, int Scored)
{
    /// <summary>
    /// Context and choice are one text to the tokenizer, and blanks at the end of the context belong to the choice, because words begin with theirs. What comes
    /// beyond the context's own tokens is the choice; where there is no context, a token that begins a text stands for it.
    /// </summary>
    public static Continuation Of(Tokenizer tokenizer, string context, string choice)
    {
        int[] before = tokenizer.EncodePrompt(context.TrimEnd()), all = tokenizer.EncodePrompt(context + choice);
        int scored = all.Length - before.Length;
        if (before.Length == 0) all = [tokenizer.Special.Bos ?? tokenizer.Special.Eos ?? throw new ToolException("The tokenizer has no token that begins a text; every question needs a context."), .. all];
        return scored > 0 ? new(all, scored) : throw new ToolException($"The choice '{choice}' adds no token of its own to '{context}'.");
    }

    /// <summary>Its last tokens, so many that a model which reads at most <paramref name="longest"/> predicts them.</summary>
    public Continuation Cut(int longest) => Scored <= longest
        ? this with { Tokens = Tokens[Math.Max(0, Tokens.Length - longest - 1)..] }
        : throw new ToolException($"A choice of {Scored} tokens is longer than the {longest} that the model reads.");

    /// <summary>ln p of the scored tokens after those before them.</summary>
    public double LogLikelihood(WindowLogits model)
    {
        int inputs = Tokens.Length - 1;
        ReadOnlySpan<float> logits = model(Tokens.AsSpan(0, inputs));
        int vocabulary = logits.Length / inputs;
        double sum = 0;
        for (int i = inputs - Scored; i < inputs; i++) sum -= new LogitRow(logits.Slice(i * vocabulary, vocabulary)).Loss(Tokens[i + 1]);
        return double.IsFinite(sum) ? sum : throw new ToolException("The model gives logits that are not numbers; it cannot be evaluated.");
    }
}
