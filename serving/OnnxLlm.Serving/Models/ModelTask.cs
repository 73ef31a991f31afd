namespace OnnxLlm.Serving.Models;

/// <summary>What models are for, in Hugging Face's words, and in those of errors.</summary>
internal static class ModelTask
{
    public const string Generation = "text-generation", FillMask = "fill-mask", Classification = "text-classification", Seq2Seq = "text2text-generation";

    /// <summary>Of the models that do it, behind "is".</summary>
    public static string Kind(string task) => task switch
    {
        FillMask or Classification => "an encoder",
        Seq2Seq => "an encoder-decoder",
        _ => "a decoder",
    };

    /// <summary>Behind "it".</summary>
    public static string Does(string task) => task switch
    {
        FillMask => "it finds hidden tokens, at /v1/fill-mask",
        Classification => "it gives texts labels, at /v1/classify",
        Seq2Seq => "it writes a text for another, at /v1/seq2seq",
        _ => "it continues texts",
    };

    /// <summary>Behind "which".</summary>
    public static string Not(string task) => task switch
    {
        FillMask => "finds no hidden tokens",
        Classification => "gives no labels",
        Seq2Seq => "writes no text for another",
        _ => "continues no text",
    };
}
