import { useState } from "react";
import type { MediaFile } from "../../api/posts";
import { useText } from "../../i18n/language";

/** Width of the service's thumbnails, but for pictures that are smaller. */
const THUMBNAIL_WIDTH = 480;
/** Width of a picture in a post; `post.css` has the paddings. */
const SIZES = "(width >= 48rem) 43rem, calc(100vw - 4rem)";

interface Props {
  pictures: readonly MediaFile[];
  /** False for a post that not everybody sees: the service gives its pictures to nobody. */
  isPublic: boolean;
}

export function Pictures({ pictures, isPublic }: Props) {
  return (
    <ul className="pictures">
      {pictures.map((picture, index) => (
        <li key={picture.id}>
          {isPublic ? (
            <Picture picture={picture} place={index + 1} count={pictures.length} />
          ) : (
            <WithheldPicture picture={picture} place={index + 1} count={pictures.length} />
          )}
        </li>
      ))}
    </ul>
  );
}

interface PictureProps {
  picture: MediaFile;
  place: number;
  count: number;
}

/** Frame of the picture's size, with its name, so that the post looks as it will. */
function WithheldPicture({ picture: { width, height, file_name }, place, count }: PictureProps) {
  const text = useText().post;
  return (
    <p className="picture withheld" dir="auto" style={{ width, aspectRatio: `${width} / ${height}` }}>
      <span>{text.picture(place, count, file_name)}</span>
      <span className="fine">{text.withheld}</span>
    </p>
  );
}

/**
 * A picture: its thumbnail, which a list may have loaded already, then the whole one over it.
 *
 * On a small screen the thumbnail is enough, and the whole one stays behind its link. Its place is known from the
 * start. The name of its file is all that is known of what it shows.
 */
function Picture({ picture, place, count }: PictureProps) {
  const text = useText().post;
  const [isWhole, setWhole] = useState(false);
  const { url, thumbnail_url, width, height } = picture;
  return (
    <a className="picture" href={url} target="_blank" rel="noopener">
      {!isWhole && <img className="picture-first" src={thumbnail_url} alt="" width={width} height={height} />}
      <img
        src={url}
        srcSet={width > THUMBNAIL_WIDTH ? `${thumbnail_url} ${THUMBNAIL_WIDTH}w, ${url} ${width}w` : undefined}
        sizes={SIZES}
        alt={text.picture(place, count, picture.file_name)}
        width={width}
        height={height}
        decoding="async"
        onLoad={() => setWhole(true)}
      />
      <span className="visually-hidden">{text.newTab}</span>
    </a>
  );
}
